"""The label of a shard: its first 512 bytes, which HDF5 leaves to the user of a file.

It says where index, spans and features lie and has checksums of all but the features. So a store
opens without HDF5, which asks for many small pieces of a file, and damage is found before HDF5
sees it: one wrong byte in HDF5's own structures may crash the process.
"""

import json
import os
from dataclasses import asdict, dataclass

from mcn.store.checksum import crc32c
from mcn.store.layout import FORMAT, FORMAT_VERSION, READABLE_VERSIONS, canonical_json
from mcn.store.rawio import range_crc32c

LABEL_BYTES = 512
CRC_BYTES = 4

Range = tuple[int, int]
"""Bytes [start, stop) of a file; (0, 0) for what is empty."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """Where the arrays of a shard lie in its file, and checksums."""

    fingerprint_digest: str
    index: Range
    spans: Range
    features: Range
    id_bytes: int
    """Widths of the strings in the index."""
    reason_bytes: int
    spans_crc32c: int
    description_crc32c: int
    """Of all but label, spans and features: the index, the attributes, HDF5's structures."""
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    def encode(self) -> bytes:
        """The label as it stands in the file: JSON, zeros, checksum."""
        text = canonical_json(asdict(self)).encode().ljust(LABEL_BYTES - CRC_BYTES, b"\0")
        return text + crc32c(text).to_bytes(CRC_BYTES, "little")


def read_label(descriptor: int) -> Label:
    """The label of an open shard, after checking label and description.

    Raises:
        ValueError: If there is none, or if the file is not as it was written.
    """
    label = read_label_of_damaged(descriptor)
    if os.fstat(descriptor).st_size < max(label.spans[1], label.features[1]):
        raise ValueError("it was cut off")
    return label


def read_label_of_damaged(descriptor: int) -> Label:
    """As `read_label`, but of a file whose spans and features may be cut off.

    Raises:
        ValueError: If label or description are not as they were written.
    """
    found = os.pread(descriptor, LABEL_BYTES, 0)
    text, checksum = found[:-CRC_BYTES], int.from_bytes(found[-CRC_BYTES:], "little")
    if len(found) < LABEL_BYTES or crc32c(text) != checksum:
        raise ValueError("no shard of features, or damaged in its first bytes")
    fields = json.loads(text.rstrip(b"\0"))
    kind = fields["format"], fields["format_version"]
    if kind not in [(FORMAT, version) for version in READABLE_VERSIONS]:
        raise ValueError(f"its format is {kind}, this code reads {(FORMAT, FORMAT_VERSION)}")
    label = Label(**fields | {name: tuple(fields[name]) for name in ("index", "spans", "features")})
    if label.description_crc32c != description_crc32c(descriptor, label.spans, label.features):
        raise ValueError("index, attributes or HDF5's structures are damaged, or cut off")
    return label


def description_crc32c(descriptor: int, *data: Range) -> int:
    """Checksum of a whole file but for its label and the ranges given."""
    checksum, position = 0, 0
    size = os.fstat(descriptor).st_size
    for start, stop in sorted([(0, LABEL_BYTES), *data, (size, size)]):
        checksum = range_crc32c(descriptor, position, start, checksum)
        position = max(position, stop)
    return checksum
