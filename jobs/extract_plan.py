"""Which shards each store is to have, and which of them it still lacks."""

import contextlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from extractors.plan import Plan, keep_plan, planned, shards_again, with_new_videos
from extractors.plan import with_videos_again as with_shards_again
from mcn.data.failure_class import MOST_POISON_ATTEMPTS, Retry, class_of, is_due
from mcn.modality import Modality
from mcn.root import Root
from mcn.store.construction import newest_journals, shard_name
from mcn.store.layout import SEALED_SUFFIX, is_sealed
from mcn.store.outcomes import StoreOutcomes
from mcn.store.upkeep.merged import is_merged

Shards = dict[int, list[str]]
"""The videos of some shards, by their numbers."""


@dataclass(frozen=True)
class ModalityPlan:
    """The plan that all stores of a modality follow."""

    shards: Plan
    again: Mapping[int, str]
    """Shards in which one store alone tries videos again, with its name."""

    @classmethod
    def read(cls, place: Root, modality: Modality) -> "ModalityPlan":
        """As it is written down; without shards where it is not."""
        path = _path(place, modality)
        return cls(planned(path), shards_again(path))

    def of_store(self, store: str) -> Shards:
        """The shards that a store is to have."""
        return {
            index: videos
            for index, videos in enumerate(self.shards)
            if self.again.get(index, store) == store
        }

    def with_new_videos(
        self, costs: Mapping[str, float], *, videos_per_shard: int
    ) -> "ModalityPlan":
        """And shards behind it for videos that it does not know yet."""
        shards = with_new_videos(self.shards, costs, videos_per_shard=videos_per_shard)
        return ModalityPlan(shards, self.again)

    def with_videos_again(
        self,
        store: str,
        place: Root,
        retry: Retry,
        costs: Mapping[str, float],
        *,
        videos_per_shard: int,
    ) -> "ModalityPlan":
        """And shards behind it for what has failed so in a store, and waits in no shard already."""
        own = self.of_store(store)
        last = {video_id: index for index, videos in own.items() for video_id in videos}
        due = {
            video_id: costs[video_id]
            for video_id, failure in StoreOutcomes.of(place.store / store).failed.items()
            if is_due(class_of(failure.reason), MOST_POISON_ATTEMPTS, retry)
            and video_id in costs
            and video_id in last
            and is_made(shard_path(last[video_id], store, place))
        }
        shards = with_shards_again(self.shards, due, videos_per_shard=videos_per_shard)
        new = range(len(self.shards), len(shards))
        return ModalityPlan(shards, {**self.again, **dict.fromkeys(new, store)})

    def waiting(self, store: str, place: Root) -> set[int]:
        """The shards in which a store is to try videos again, and has not yet."""
        return {
            index
            for index, of in self.again.items()
            if of == store and not is_made(shard_path(index, store, place))
        }

    def keep(self, place: Root, modality: Modality) -> None:
        """Write it down."""
        keep_plan(_path(place, modality), self.shards, self.again)


def left_to_make(store: str, shards: Shards, asked: Sequence[int], place: Root) -> set[int]:
    """Those of the shards asked for that the store is to have, and has not."""
    return {
        index for index in asked if index in shards and not is_made(shard_path(index, store, place))
    }


def bytes_in_journals(left_of: Mapping[str, Set[int]], place: Root) -> int:
    """What is there already of the shards that are left of each store."""
    total = 0
    for store, left in left_of.items():
        for journal in newest_journals(place.store / store):
            name = shard_name(journal)
            if name.isdigit() and int(name) in left:
                with contextlib.suppress(FileNotFoundError):  # sealed just now
                    total += journal.stat().st_size
    return total


def shard_path(index: int, store: str, place: Root) -> Path:
    """Where a shard of a store is, or will be."""
    return place.store / store / f"{index:05d}{SEALED_SUFFIX}"


def is_made(shard: Path) -> bool:
    """Whether nothing is left to be done for a shard."""
    return is_sealed(shard) or is_merged(shard)


def _path(place: Root, modality: Modality) -> Path:
    return place.plans / f"{modality}.csv"
