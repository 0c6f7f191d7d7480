"""The store's one checksum: crc32c, which processors compute faster than disks read."""

from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray


def crc32c(*parts: bytes | NDArray[Any], start: int = 0) -> int:
    """crc32c of all parts as if they lay behind one another, carried on from `start`."""
    checksum = start
    for part in parts:
        data = part if isinstance(part, bytes) else np.ascontiguousarray(part)
        checksum = google_crc32c.extend(checksum, data)
    return checksum
