"""A sealed shard, as it describes itself: what readers, checks and overviews begin with."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from mcn.store.fingerprint import Fingerprint
from mcn.store.index import read_index
from mcn.store.label import CRC_BYTES, Label, read_label
from mcn.store.layout import SEALED_SUFFIX
from mcn.store.plan import ShardPlan

UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    MemoryError,
)
"""What h5py and numpy raise on a file that is damaged, or none of ours."""


@dataclass(frozen=True)
class SealedShard:
    """Label and index of one shard."""

    path: Path
    size_bytes: int
    modified_ns: int
    label: Label
    index: NDArray[Any]
    """An entry of `index_dtype` for each video."""

    @property
    def label_crc32c(self) -> int:
        """Of the label, which has checksums of all the rest: another shard has another one."""
        # The last bytes are their own checksum: crc32c over them too is the same for all labels.
        return int.from_bytes(self.label.encode()[-CRC_BYTES:], "little")

    def fingerprint(self) -> Fingerprint:
        """What made the features; read from the attributes."""
        return Fingerprint.from_json(self._attribute("fingerprint"))

    def provenances(self) -> list[dict[str, str | int | float]]:
        """What the index refers to; read from the attributes."""
        provenances: list[dict[str, str | int | float]] = json.loads(self._attribute("provenance"))
        return provenances

    def plan(self) -> ShardPlan:
        """What the shard was to hold, and does."""
        ids = [video_id.decode() for video_id in self.index["video_id"].tolist()]
        return ShardPlan(ids, self.fingerprint())

    def _attribute(self, name: str) -> str:
        # Sealed files never change, and locks are what fails on network file systems.
        with h5py.File(self.path, "r", locking=False) as file:
            text: str = file.attrs[name]
            return text


def open_shard(path: Path) -> SealedShard:
    """Label and index of a shard.

    Raises:
        ValueError: If the file is not a whole shard of this format.
    """
    try:
        return read_shard(path)
    except UNREADABLE as error:
        raise ValueError(
            f"{path} cannot be read as a shard ({error}); "
            "`python jobs/store.py verify` says what is wrong and what to do"
        ) from error


def read_shard(path: Path) -> SealedShard:
    """As `open_shard`, but raises whatever UNREADABLE error comes up."""
    with path.open("rb") as file:
        stat = os.fstat(file.fileno())
        label = read_label(file.fileno())
        index = read_index(file.fileno(), label)
    return SealedShard(path, stat.st_size, stat.st_mtime_ns, label, index)


def shard_paths(folder: Path) -> list[Path]:
    """The sealed shards of a folder, by name."""
    return sorted(folder.glob(f"*{SEALED_SUFFIX}"))
