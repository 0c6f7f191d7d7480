"""Random numbers that depend on what they are for, and not on who asked first."""

import hashlib

import numpy as np


def fingerprint(*names: str | int) -> int:
    """A number of 128 bits that names `names`; the same on every machine and in every process."""
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    return int.from_bytes(digest[:16], "little")


def dice(seed: int, *purpose: str | int) -> np.random.Generator:
    """A fresh generator for one purpose, such as `dice(0, "sound", video_id)`."""
    return np.random.default_rng(fingerprint(seed, *purpose))
