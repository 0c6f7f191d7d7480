"""What became of each video in the sealed shards of a folder: done in one, or failed in all."""

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcn.store.ids import Ids, are_in, sorted_once
from mcn.store.newest import PlannedNumbers, newest_reasons
from mcn.store.shard import open_shard, shard_paths


class StoredFailure(NamedTuple):
    """How a video has failed."""

    reason: str
    """In the shard that was planned last of those that have a record of it."""
    num_records: int
    """Number of shards in which it failed: it is tried again in shards of its own."""


@dataclass(frozen=True)
class StoreOutcomes:
    """Each video once."""

    done: Ids
    """In UTF-8, sorted."""
    failed: dict[str, StoredFailure]
    unreadable: list[Path]
    """Files that are no whole shard."""

    @classmethod
    def of(cls, folder: Path) -> "StoreOutcomes":
        """Those of a folder; empty where there is none."""
        done: list[Ids] = [np.empty(0, "S1")]
        failed: list[NDArray[Any]] = []
        numbers: list[NDArray[np.int64]] = []
        unreadable = []
        planned = PlannedNumbers(folder)
        for path in shard_paths(folder):
            try:
                shard = open_shard(path)
            except (OSError, ValueError):
                unreadable.append(path)
                continue
            is_done = shard.index["status"] == b"done"
            done.append(shard.index["video_id"][is_done])
            failed.append(shard.index[~is_done])
            numbers.append(planned.of(shard)[~is_done])
        reasons = newest_reasons(failed, numbers)
        num_records = Counter(chain(*(entries["video_id"].tolist() for entries in failed)))
        done_ids = sorted_once(np.concatenate(done))
        is_superseded = are_in(np.array(list(reasons), "S"), done_ids).tolist()
        failures = {
            video_id.decode(): StoredFailure(reason.decode(), num_records[video_id])
            for (video_id, reason), is_done in zip(reasons.items(), is_superseded, strict=True)
            if not is_done
        }
        return cls(done_ids, failures, unreadable)
