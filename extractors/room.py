"""Room on a disk: before a step begins, and when it runs out all the same."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def check_room(folder: Path, *, num_bytes: float, num_files: int) -> None:
    """Passes if so much can be written below the folder; a quota is not looked at.

    Raises:
        ValueError: There is less; names the folder, what is needed and what is free.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    disk = os.statvfs(there)
    free_bytes = disk.f_bavail * disk.f_frsize
    if num_bytes > free_bytes:
        raise ValueError(
            f"{folder}: needs {num_bytes / 1e9:,.1f} GB and has {free_bytes / 1e9:,.1f} GB free; "
            "make room, or take fewer shards at a time with --array"
        )
    # Btrfs and some network file systems count no inodes, and say that they have none.
    if disk.f_files and num_files > disk.f_favail:
        raise ValueError(
            f"{folder}: needs {num_files:,} inodes and has {disk.f_favail:,} free; "
            "remove files, or take fewer shards at a time with --array"
        )


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """An OSError of a full disk says so of this folder, and that nothing is lost.

    That is no video's fault: none is entered as failed for it, and the task stops.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(
            error.errno,
            f"{error.strerror}; what is done is kept: make room and run it again",
            str(folder),
        ) from error
