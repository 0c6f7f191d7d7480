"""Reads a foreign pickle of plain data and arrays of numbers, and nothing that could do harm.

A pickle is a program; it acts through the functions and classes that it names. Here the few names
that arrays and tensors of numbers are rebuilt by stand for functions of `pickled_arrays`, and any
other is refused. Apart from arrays, what is left is dict, list, tuple, set, str, bytes, numbers,
bool and None.
"""

import pickle
import struct
from pathlib import Path
from typing import Any

from mcn.data.pickled_arrays import stand_in

STUMBLES = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)
"""Where the program in a damaged pickle may end."""

PICKLE_SUFFIXES = (".pickle", ".pkl")


class PlainUnpickler(pickle.Unpickler):
    """Refuses every name in a pickle but those of arrays of numbers."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        found = stand_in(module_name, global_name)
        if found is None:
            raise pickle.UnpicklingError(
                f"it names {module_name}.{global_name}, which is neither plain data nor an array "
                "of numbers; if you trust the file, load it yourself and save it without"
            )
        return found


def load_plain_pickle(path: Path) -> Any:
    """The data in a pickle that holds nothing but plain data and arrays of numbers.

    Tensors come as arrays, and NumPy's single numbers as Python's.

    Raises:
        ValueError: If the pickle names another function or class, or is damaged.
    """
    with path.open("rb") as file:
        try:
            return PlainUnpickler(file, encoding="utf-8").load()
        except STUMBLES as error:
            raise ValueError(f"{path} is not read: {error}") from error
