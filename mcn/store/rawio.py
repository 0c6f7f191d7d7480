"""Reads and writes at an offset of a file, whole or an error, past any library's caches."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcn.store.checksum import crc32c

_PIECE_BYTES = 4 << 20


def read_at(descriptor: int, array: NDArray[Any], offset: int) -> None:
    """Fills the array, which must be contiguous, with the file's bytes from `offset` on.

    Raises:
        EOFError: If the file ends before.
    """
    whole: list[Any] = [array]
    got = os.preadv(descriptor, whole, offset)
    if got == array.nbytes:
        return
    # A signal or the system's limit on a single read: fetch the rest.
    rest = array.reshape(-1).view(np.uint8).data
    while got < array.nbytes:
        more = os.preadv(descriptor, [rest[got:]], offset + got)
        if not more:
            raise EOFError(f"the file ends {array.nbytes - got} bytes too early")
        got += more


def range_crc32c(descriptor: int, start: int, stop: int, checksum: int = 0) -> int:
    """crc32c of the file's bytes [start, stop), or up to its end; carries on from `checksum`."""
    for offset in range(start, stop, _PIECE_BYTES):
        piece = os.pread(descriptor, min(_PIECE_BYTES, stop - offset), offset)
        if not piece:
            break
        checksum = crc32c(piece, start=checksum)
    return checksum


def write_at(descriptor: int, data: bytes | NDArray[Any], offset: int) -> int:
    """Puts the bytes at `offset`; returns where they end."""
    rest = data if isinstance(data, bytes) else data.reshape(-1).view(np.uint8).data
    while len(rest):
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
    return offset


def is_gone(error: OSError) -> bool:
    """Whether it says that a file has been removed; NFS has an error of its own for open ones."""
    return error.errno in (errno.ENOENT, errno.ESTALE)


def fsync_folder(folder: Path) -> None:
    """Puts on disk which files the folder has: renamed, new or removed ones."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
