"""Functions in the place of a decoder that do what decoders do when they break; without torch.

The name of the file says what becomes of it.
"""

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractors.media import MediaError

libc_with_the_lock_held = ctypes.PyDLL(None)


def decode(path: Path, scale: int = 1) -> Iterator[NDArray[Any]]:
    """Three small arrays, the last with the id of this process, unless the name says otherwise."""
    yield np.arange(6, dtype=np.uint8).reshape(2, 3) * scale
    yield np.zeros((0, 3), np.float32)
    match path.name:
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            libc_with_the_lock_held.sleep(1000)
        case "drip":
            while True:
                time.sleep(0.1)
                yield np.zeros(1, np.uint8)
        case "bomb":
            yield np.ones(3 * 10**9, np.uint8)
        case "flood":
            while True:
                yield np.zeros(10**8, np.uint8)
        case "chatter":
            print("frame= 1" * 10_000, flush=True)
            os.write(sys.stdout.fileno(), b'{"kind": "done"}' * 10_000)
        case "refuse":
            raise MediaError("truncated", f"{path}: cut off")
        case "stale":
            raise OSError(116, "Stale file handle")
        case "colours":
            raise OSError(95, "Operation not supported")
        case "bug":
            raise KeyError("pts")
        case "slow":
            path.with_name("begun").touch()
            time.sleep(1.0)
    yield np.array([os.getpid()], np.float64)
