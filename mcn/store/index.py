"""The index of a sealed shard as it lies in the file, of any version."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcn.store.label import Label
from mcn.store.layout import NOT_COUNTED, index_dtype
from mcn.store.rawio import read_at


def stored_dtype(label: Label) -> "np.dtype[Any]":
    """Type of an entry in the file with this label."""
    return index_dtype(
        id_bytes=label.id_bytes,
        reason_bytes=label.reason_bytes,
        format_version=label.format_version,
    )


def read_index(descriptor: int, label: Label) -> NDArray[Any]:
    """The entries, of the `index_dtype` of today."""
    dtype = stored_dtype(label)
    start, stop = label.index
    stored = np.empty((stop - start) // dtype.itemsize, dtype)
    read_at(descriptor, stored, start)
    today = index_dtype(id_bytes=label.id_bytes, reason_bytes=label.reason_bytes)
    if today == dtype:
        return stored
    index = np.empty(len(stored), today)
    index["num_errors"] = NOT_COUNTED
    for name in dtype.names or ():
        index[name] = stored[name]
    return index
