"""Frames of a journal: a checksummed piece of a file that is there whole or not at all.

A frame is a prefix (marker, length of the JSON, length of the data, crc32c of all the rest of the
frame), a JSON object and binary data. Whatever a crash leaves of a frame does not read as one.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from mcn.store.checksum import crc32c
from mcn.store.layout import canonical_json
from mcn.store.rawio import range_crc32c

_LENGTHS = struct.Struct("<4sIQ")
_CRC = struct.Struct("<I")


class Frame(NamedTuple):
    """Where a frame of a file says that its parts are; not yet checked."""

    offset: int
    meta: bytes
    data_offset: int
    end: int


def encode_frame(
    marker: bytes, meta: Mapping[str, Any], data: Sequence[NDArray[Any]] = ()
) -> bytes:
    """A frame that holds `meta` and the bytes of `data`, one behind the other."""
    text = canonical_json(meta).encode()
    lengths = _LENGTHS.pack(marker, len(text), sum(part.nbytes for part in data))
    crc = _CRC.pack(crc32c(lengths, text, *data))
    return b"".join([lengths, crc, text, *(part.tobytes() for part in data)])


def find_frame(descriptor: int, offset: int, marker: bytes) -> Frame | None:
    """The frame that begins at `offset`; None if none does or the file ends within it."""
    prefix = os.pread(descriptor, _LENGTHS.size + _CRC.size, offset)
    if len(prefix) < _LENGTHS.size + _CRC.size:
        return None
    found, meta_length, data_length = _LENGTHS.unpack_from(prefix)
    data_offset = offset + len(prefix) + meta_length
    if found != marker or data_offset + data_length > os.fstat(descriptor).st_size:
        return None
    meta = os.pread(descriptor, meta_length, offset + len(prefix))
    return Frame(offset, meta, data_offset, data_offset + data_length)


def is_intact(descriptor: int, frame: Frame) -> bool:
    """Whether the frame has the bytes it was written with; reads all of it, piece by piece."""
    prefix = os.pread(descriptor, _LENGTHS.size + _CRC.size, frame.offset)
    checksum = crc32c(prefix[: _LENGTHS.size], frame.meta)
    checksum = range_crc32c(descriptor, frame.data_offset, frame.end, checksum)
    return prefix[_LENGTHS.size :] == _CRC.pack(checksum)
