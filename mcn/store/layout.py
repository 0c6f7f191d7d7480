"""Names and types of what a shard holds: the format, in one place.

A sealed shard `00042.h5` is plain HDF5, written with the default libver:

    user block            the label (label.py): where the arrays lie, and checksums
    features[rows, dim]   float16, contiguous; the rows of all videos in planned order; of text
                          int32, the numbers of words (word_table.py)
    index[videos]         fields of `index_dtype`: an entry for every planned video, done or failed
    spans[captions]       fields of SPAN (record.py); only where rows come at no fixed rate
    attributes            format_version, fingerprint (JSON) and fingerprint_digest,
                          provenance (JSON list of what the index refers to)

Every byte is under a checksum: the features of each video in the index, all else in the label.
While it is made, a shard is a journal and more beside its later place (construction.py), with
suffixes that readers pass over.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

FORMAT = "mcn-features"
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""The first had no `num_errors` in its index."""

NOT_COUNTED = -1
"""The number of errors where it was not kept, or where nothing was decoded."""

SEALED_SUFFIX = ".h5"
LEASE_SUFFIX = ".lease"

FEATURE_DTYPE = np.dtype("<f2")

RowType = Literal["float16", "int32"]

ROW_DTYPES: dict[RowType, "np.dtype[Any]"] = {"float16": FEATURE_DTYPE, "int32": np.dtype("<i4")}
"""What a number of a row is, by its name in the fingerprint."""


def index_dtype(
    *, id_bytes: int, reason_bytes: int, format_version: int = FORMAT_VERSION
) -> "np.dtype[Any]":
    """Type of an index entry; strings are UTF-8, as wide as the widest of the shard."""
    errors = [("num_errors", "<i4")] if format_version > 1 else []
    return np.dtype(
        [
            ("video_id", h5py.string_dtype("utf-8", max(1, id_bytes))),
            ("first_row", "<i8"),
            ("num_rows", "<i8"),
            ("crc32c", "<u4"),  # of the video's rows, as they lie in the file
            ("status", "S6"),  # done or failed
            ("reason", h5py.string_dtype("utf-8", max(1, reason_bytes))),
            ("completeness", "<f8"),
            ("first_span", "<i8"),
            ("num_spans", "<i8"),
            ("provenance", "<u2"),  # position in the list of the attribute
            *errors,
        ]
    )


def is_storable(text: str) -> bool:
    """Whether the index can hold the text: no NUL, nothing that UTF-8 has no bytes for."""
    return "\0" not in text and text.encode(errors="replace").decode() == text


def starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of several stretches begins that lie one behind the other."""
    return np.cumsum(counts) - counts


def canonical_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON that is the same text for equal values: keys sorted, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def lease_folder(path: Path) -> Path:
    """The lease (lease.py) of those who write `path`; the last to go of what is beside a shard."""
    return path.with_suffix(LEASE_SUFFIX)


def is_sealed(shard: Path) -> bool:
    """Whether nothing is left to be done for a shard."""
    return shard.exists() and not lease_folder(shard).exists()
