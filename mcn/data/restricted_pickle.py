"""Reads a foreign pickle of plain data, and nothing that could do harm.

A pickle is a program; it acts through the functions and classes that it names. Here it may name
none. What is left is dict, list, tuple, set, str, bytes, numbers, bool and None. NumPy's types
are refused too: an array of objects over a buffer is a pointer of the writer's choice.
"""

import pickle
import struct
from pathlib import Path
from typing import Any, NoReturn

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


class PlainUnpickler(pickle.Unpickler):
    """Refuses every name in a pickle."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(
            f"it names {module_name}.{global_name}, which is not plain data; if you trust the "
            "file, load it yourself and save it as JSON"
        )


def load_plain_pickle(path: Path) -> Any:
    """The data in a pickle that holds nothing but plain data.

    Raises:
        ValueError: If the pickle names a function or a class, or is damaged.
    """
    with path.open("rb") as file:
        try:
            return PlainUnpickler(file, encoding="utf-8").load()
        except STUMBLES as error:
            raise ValueError(f"{path} is not read: {error}") from error
