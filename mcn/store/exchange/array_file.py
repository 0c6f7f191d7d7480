"""Rows of one .npy or .npz file from anywhere: read without pickle, or refused with a reason."""

import errno
import lzma
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mcn.store.layout import FEATURE_DTYPE
from mcn.store.record import all_finite

MOST_BYTES = 2 << 30
"""Of one array: a day of log-mel in float32 is 1.4 GB, and a few kB of zip can promise anything."""

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    SyntaxError,
    MemoryError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What zipfile and numpy's parser of headers raise on damaged files."""


class UnusableFileError(ValueError):
    """A file without usable features; its text is the reason, as a short slug."""


def read_rows(
    path: Path, *, dim: int, key: str | None = None, is_transposed: bool = False
) -> NDArray[np.float16]:
    """The features of a file as (rows, dim); wider floats are rounded to float16.

    Args:
        path: A regular file, .npy or .npz.
        dim: Width that rows must have.
        key: Array of an .npz; by default its only one.
        is_transposed: The file holds (dim, rows), as published log-mel spectrograms do.

    Raises:
        UnusableFileError: It is damaged, or holds something else.
        OSError: It cannot be read now, which says nothing about what is in it.
    """
    array = _read(path, key)
    if array.ndim != 2:
        raise UnusableFileError("wrong-shape")
    rows = array.T if is_transposed else array
    if rows.shape[1] != dim:
        raise UnusableFileError("other-dim")
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(rows, FEATURE_DTYPE)
    if not all_finite(features):
        raise UnusableFileError("not-finite")
    return features


def read_array(path: Path, dtype: "np.dtype[Any]") -> NDArray[Any]:
    """The array of an .npy file, which must be of this type.

    Raises:
        UnusableFileError: It is damaged, or holds something else.
    """
    array = _read(path, None, dtype)
    if array.dtype != dtype:
        raise UnusableFileError("wrong-dtype")
    return array


def _read(path: Path, key: str | None, dtype: "np.dtype[Any] | None" = None) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise UnusableFileError("empty-file")
            if path.suffix == ".npz":
                return _read_npz(file, key)
            return _read_npy(file, size, dtype)
    except UnusableFileError:
        raise
    except _DAMAGE as error:
        raise UnusableFileError("damaged") from error
    except OSError as error:
        # zipfile seeks to where a damaged directory points; EIO is a bad sector.
        if error.errno in (errno.EINVAL, errno.EIO):
            raise UnusableFileError("damaged") from error
        raise


def _read_npz(file: BinaryIO, key: str | None) -> NDArray[Any]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if key is None and len(members) != 1:
            raise UnusableFileError("several-arrays" if members else "no-array")
        name = next(iter(members)) if key is None else key
        if name not in members:
            raise UnusableFileError("no-such-key")
        with archive.open(members[name]) as stream:
            array = _read_npy(stream, members[name].file_size)
            stream.read(1)  # the checksum is looked at where the member ends
            return array


def _read_npy(stream: Any, size: int, dtype_wanted: "np.dtype[Any] | None" = None) -> NDArray[Any]:
    """The array of a stream of `size` bytes, which is not believed before its type is seen."""
    version = np.lib.format.read_magic(stream)
    if version not in _READ_HEADER:
        raise UnusableFileError("damaged")
    shape, is_fortran, dtype = _READ_HEADER[version](stream)
    if dtype.hasobject:
        raise UnusableFileError("object-array")
    if dtype.kind != "f" and dtype != dtype_wanted:
        raise UnusableFileError("wrong-dtype")
    count = 1
    for length in shape:
        count *= length
    num_bytes = count * dtype.itemsize
    if num_bytes > MOST_BYTES:
        raise UnusableFileError("too-large")
    if any(length < 0 for length in shape) or stream.tell() + num_bytes != size:
        raise UnusableFileError("damaged")
    data = stream.read(num_bytes)
    if len(data) != num_bytes:
        raise UnusableFileError("damaged")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
