"""Which of several records of a video is the newest: the one of the shard that was planned last.

Sealed shards never change: what is tried again has a record in a shard that was planned behind all
others. The name of a merged shard says nothing of that; the marks beside it say of each of its
records which planned shard it was made for.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from mcn.store.shard import SealedShard
from mcn.store.upkeep.merged import Merged, read_merged

UNPLANNED = -1
"""In place of the number of a shard whose name is none."""


class PlannedNumbers:
    """Of the shards of a folder."""

    def __init__(self, folder: Path) -> None:
        self._merged: defaultdict[str, list[Merged]] = defaultdict(list)
        for merged in read_merged(folder):
            self._merged[merged.into].append(merged)

    def of(self, shard: SealedShard) -> Int64[np.ndarray, " videos"]:
        """The number of the planned shard that each record was made for."""
        numbers = np.full(len(shard.index), _number(shard.path.stem))
        for merged in self._merged[shard.path.stem]:
            numbers[merged.first : merged.stop] = _number(merged.shard)
        return numbers


def newest_reasons(
    entries: Sequence[NDArray[Any]], numbers: Sequence[NDArray[np.int64]]
) -> dict[bytes, bytes]:
    """Why each video of some failed entries of indices has failed the last time, by its id.

    Args:
        entries: Of one shard after the other.
        numbers: Of the planned shards that they were made for, as many.
    """
    tries = [
        entry
        for several in entries
        for entry in zip(several["video_id"].tolist(), several["reason"].tolist(), strict=True)
    ]
    order = np.argsort(np.concatenate([*numbers, np.empty(0, np.int64)]), kind="stable")
    return dict(tries[at] for at in order.tolist())


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else UNPLANNED
