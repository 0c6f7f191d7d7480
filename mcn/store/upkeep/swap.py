"""One folder in the place of another, such that whoever looks finds either of them.

Linux exchanges two names in one step. Where the file system cannot (NFS), there is a moment
without either, which `bring_back` ends if a crash falls into it.
"""

import ctypes
import errno
import os
from pathlib import Path

from mcn.store.rawio import fsync_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def swap_folders(one: Path, other: Path, parked: Path) -> None:
    """Each is where the other was; `parked`, a free name, is used where there is no exchange."""
    try:
        _exchange(one, other)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        one.rename(parked)
        other.rename(one)
        parked.rename(other)
    for folder in {one.parent, other.parent}:
        fsync_folder(folder)


def bring_back(folder: Path, parked: Path) -> None:
    """Puts a folder back that a crash in the middle of `swap_folders` left parked."""
    if not folder.exists() and parked.exists():
        parked.rename(folder)
        fsync_folder(folder.parent)


def _exchange(one: Path, other: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))
