"""Files appear whole: written aside in the same folder, put on disk, then renamed."""

import contextlib
import os
from pathlib import Path

from mcn.store.rawio import fsync_folder


def publish(aside: Path, target: Path) -> None:
    """Puts a finished file in its place, over what was there."""
    _fsync(aside)
    aside.replace(target)
    fsync_folder(target.parent)


def publish_first(aside: Path, target: Path) -> None:
    """Puts a finished file in its place, unless another process was faster; that one stays."""
    _fsync(aside)
    with contextlib.suppress(FileExistsError):
        os.link(aside, target)
    aside.unlink()
    fsync_folder(target.parent)


def _fsync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
