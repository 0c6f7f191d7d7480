"""Tells a file that is damaged from one that cannot be read at the moment.

FFmpeg takes a read that fails for damage, or for the end of the file, and calls some damage an
input error. Plain reads know.
"""

import errno
import os
from io import IOBase
from pathlib import Path

from extractors.media import not_read

BYTES_AT_ONCE = 1 << 20


def read_to_end(path: Path) -> None:
    """Passes if every byte of the file can be read; holes are passed over.

    Raises:
        OSError: It cannot: the storage is to blame, or whose file it is, and not what is in it.
    """
    with path.open("rb", buffering=0) as file:
        _skip_hole(file)
        while file.read(BYTES_AT_ONCE):
            _skip_hole(file)


def _skip_hole(file: IOBase) -> None:
    """Goes on to where data lies, of a file that may be terabytes of nothing."""
    try:
        file.seek(file.tell(), os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole up to the end
            file.seek(0, os.SEEK_END)
        # Otherwise nobody knows of holes here.


def check_readable(path: Path) -> None:
    """Passes if whatever is wrong with a file is its own fault.

    Raises:
        MediaError: "unreadable-now" if it is one, and not every byte of it can be read.
        OSError: Its folder cannot be read either.
    """
    try:
        if path.is_file():
            read_to_end(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise not_read(path, error) from error
