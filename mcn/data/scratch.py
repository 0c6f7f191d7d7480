"""Memory that is used again and again."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scratch:
    """Arrays of which one at a time is in use: each is overwritten by the next.

    To be given fresh pages by the system costs as much as to read into them.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: "np.dtype[Any] | type") -> NDArray[Any]:
        """An array with whatever was in it."""
        num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if num_bytes > len(self._memory):
            self._memory = np.empty(num_bytes, np.uint8)
        return self._memory[:num_bytes].view(dtype).reshape(shape)
