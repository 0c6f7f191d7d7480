"""The description of a shard whose features may be damaged or cut off."""

import io
import json
import os
from pathlib import Path

import h5py

from mcn.store.fingerprint import Fingerprint
from mcn.store.index import read_index
from mcn.store.label import Label, read_label_of_damaged
from mcn.store.rawio import write_at
from mcn.store.stored_records import Description

_PIECE_BYTES = 4 << 20


def read_damaged(path: Path) -> Description:
    """All of a shard but its spans and features, as it was written.

    Raises:
        Exception: One of `shard.UNREADABLE` if anything of it is damaged: one checksum is over all.
    """
    with path.open("rb") as file:
        descriptor = file.fileno()
        label = read_label_of_damaged(descriptor)
        index = read_index(descriptor, label)
        with io.FileIO(os.memfd_create(path.name), "r+") as memory:
            _copy_description(descriptor, memory.fileno(), label)
            with h5py.File(memory, "r") as described:
                fingerprint = Fingerprint.from_json(described.attrs["fingerprint"])
                provenances = json.loads(described.attrs["provenance"])
    return Description(path, label, index, fingerprint, provenances)


def _copy_description(descriptor: int, memory: int, label: Label) -> None:
    """A file with holes in the place of spans and features, and as long as it was."""
    size = os.fstat(descriptor).st_size
    os.ftruncate(memory, max(size, label.spans[1], label.features[1]))
    position = 0
    for start, stop in sorted([label.spans, label.features, (size, size)]):
        for offset in range(position, min(start, size), _PIECE_BYTES):
            count = min(_PIECE_BYTES, min(start, size) - offset)
            write_at(memory, os.pread(descriptor, count, offset), offset)
        position = max(position, stop)
