"""What became of each video in the sealed shards of a folder: done in one, or failed in all."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mcn.store.shard import open_shard, shard_paths


class StoredFailure(NamedTuple):
    """How a video has failed."""

    reason: str
    """In the last shard that has a record of it."""
    num_records: int
    """Number of shards in which it failed: it is tried again in shards of its own."""


@dataclass(frozen=True)
class StoreOutcomes:
    """Each video once."""

    done: frozenset[bytes]
    """Ids in UTF-8, of which there are many."""
    failed: dict[str, StoredFailure]
    unreadable: list[Path]
    """Files that are no whole shard."""

    @classmethod
    def of(cls, folder: Path) -> "StoreOutcomes":
        """Those of a folder; empty where there is none."""
        done: set[bytes] = set()
        reasons: dict[bytes, bytes] = {}
        num_records: Counter[bytes] = Counter()
        unreadable = []
        for path in shard_paths(folder):
            try:
                index = open_shard(path).index
            except (OSError, ValueError):
                unreadable.append(path)
                continue
            is_done = index["status"] == b"done"
            done.update(index["video_id"][is_done].tolist())
            failed = index[~is_done]
            reasons.update(zip(failed["video_id"].tolist(), failed["reason"].tolist(), strict=True))
            num_records.update(failed["video_id"].tolist())
        failures = {
            video_id.decode(): StoredFailure(reason.decode(), num_records[video_id])
            for video_id, reason in reasons.items()
            if video_id not in done
        }
        return cls(frozenset(done), failures, unreadable)
