"""Tells a file that is damaged from one that cannot be read at the moment.

FFmpeg takes a read that fails for damage, or for the end of the file, and calls some damage an
input error. Plain reads know.
"""

from pathlib import Path

from extractors.media import not_read

BYTES_AT_ONCE = 1 << 20


def read_to_end(path: Path) -> None:
    """Passes if every byte of the file can be read.

    Raises:
        OSError: It cannot: the storage is to blame, or whose file it is, and not what is in it.
    """
    with path.open("rb") as file:
        while file.read(BYTES_AT_ONCE):
            pass


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
