"""Fewer shards in a folder: built aside whole, checked, and then put in its place in one step.

Beside the folder `video-resnet152` a merge works in `merging/video-resnet152/`; what is there is
of no use to anybody else at any time. The folder is complete at every moment, so that a killed
merge that is run again either carries on or finds that it is over.
"""

import os
import shutil
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from mcn.progress import Progress
from mcn.store.holder import Holder
from mcn.store.layout import LEASE_SUFFIX, SEALED_SUFFIX, canonical_json
from mcn.store.lease import acquire
from mcn.store.rawio import fsync_folder
from mcn.store.shard import SealedShard, open_shard, shard_paths
from mcn.store.stored_records import Description, all_records
from mcn.store.upkeep.merged import MERGED_PREFIX, MERGED_SUFFIX, Merged, read_merged
from mcn.store.upkeep.swap import bring_back, swap_folders
from mcn.store.writer import ShardWriter

WORKSHOP = "merging"


class Merge(NamedTuple):
    """How many shards there were, and are."""

    num_before: int
    num_after: int


class _Group(NamedTuple):
    name: str
    shards: list[SealedShard]


def merge_store(folder: Path, *, videos_per_shard: int, is_shown: bool = True) -> Merge:
    """Brings shards of a folder together as long as their videos are no more than that.

    Raises:
        ValueError: Something in the folder is no sealed shard, or is damaged.
        ShardBusyError: Another process merges this folder.
    """
    workshop = folder.parent / WORKSHOP / folder.name
    lease_path = workshop.with_name(workshop.name + LEASE_SUFFIX)
    with acquire(lease_path, Holder.here()) as lease:
        parked = workshop / "parked"
        bring_back(folder, parked)
        before = sorted(path.name for path in folder.iterdir())
        _check_all_sealed(folder, before)
        shards = [open_shard(path) for path in shard_paths(folder)]
        aside = workshop / _digest(shards, videos_per_shard)
        _clear(workshop, but=aside)
        groups = _group(shards, videos_per_shard)
        if groups:
            _build(aside, folder, shards, groups, is_shown=is_shown)
            swap_folders(folder, aside, parked)
            if sorted(path.name for path in aside.iterdir()) != before:
                swap_folders(folder, aside, parked)
                raise ValueError(f"{folder} was written to while it was merged; run it again then")
        if workshop.exists():
            shutil.rmtree(workshop)
        lease.dissolve()
    return Merge(len(shards), len(shard_paths(folder)))


def _check_all_sealed(folder: Path, names: list[str]) -> None:
    for name in names:
        if not name.endswith((SEALED_SUFFIX, MERGED_SUFFIX)):
            raise ValueError(
                f"{folder / name} is neither a sealed shard nor a mark of an earlier merge; let "
                "extraction end, or repair, before merging"
            )


def _clear(workshop: Path, *, but: Path) -> None:
    """Removes what earlier merges left: shards under way, or those that were replaced."""
    for path in workshop.iterdir() if workshop.exists() else ():
        if path != but:
            shutil.rmtree(path)


def _digest(shards: list[SealedShard], videos_per_shard: int) -> str:
    """Different for all that decides what is built."""
    labels = [[shard.path.name, shard.label_crc32c] for shard in shards]
    return sha256(canonical_json([videos_per_shard, labels]).encode()).hexdigest()[:16]


def _group(shards: list[SealedShard], videos_per_shard: int) -> list[_Group]:
    """Shards made alike, each to the first others with which its videos are at most so many.

    Two that have a record of the same video, which failed and was tried again, stay apart.

    No two groups would fit together, so a merged store has nothing left to merge.
    """
    alike: defaultdict[str, list[tuple[list[SealedShard], set[bytes]]]] = defaultdict(list)
    for shard in shards:
        groups = alike[shard.label.fingerprint_digest]
        own = set(shard.index["video_id"].tolist())
        for group, ids in groups:
            if len(ids) + len(own) <= videos_per_shard and ids.isdisjoint(own):
                group.append(shard)
                ids |= own
                break
        else:
            groups.append(([shard], own))
    numbers = [
        int(shard.path.stem.removeprefix(MERGED_PREFIX))
        for shard in shards
        if shard.path.stem.startswith(MERGED_PREFIX)
    ]
    first = max(numbers, default=-1) + 1
    several = [group for groups in alike.values() for group, _ in groups if len(group) > 1]
    return [
        _Group(f"{MERGED_PREFIX}{number:05d}", group) for number, group in enumerate(several, first)
    ]


def _build(
    aside: Path,
    folder: Path,
    shards: list[SealedShard],
    groups: list[_Group],
    *,
    is_shown: bool,
) -> None:
    """A folder with all records of the other; what it holds already it keeps.

    Raises:
        OSError: It does not hold the same records in the end.
    """
    aside.mkdir(parents=True, exist_ok=True)
    merged_paths = {shard.path for group in groups for shard in group.shards}
    for shard in shards:
        if shard.path not in merged_paths and not (aside / shard.path.name).exists():
            os.link(shard.path, aside / shard.path.name)
    total = sum(len(shard.index) for group in groups for shard in group.shards)
    with Progress("merge", total=total, unit="videos", is_shown=is_shown) as progress:
        for group in groups:
            _write(aside / f"{group.name}{SEALED_SUFFIX}", group.shards, progress)
    for merged in _marks(folder, groups):
        merged.write(aside)
    fsync_folder(aside)
    if _records(shards) != _records([open_shard(path) for path in shard_paths(aside)]):
        raise OSError(f"{aside} has not the records of {folder}; delete it and run again")


def _write(path: Path, shards: list[SealedShard], progress: Progress) -> None:
    described = [Description.of(shard) for shard in shards]
    ids = [video_id for description in described for video_id in description.video_ids]
    with ShardWriter(
        path, video_ids=ids, fingerprint=described[0].fingerprint, provenance={}
    ) as writer:
        for description in described:
            if writer.done.issuperset(description.video_ids):
                progress.skip(len(description.index))
                continue
            for stored in all_records(description):
                if stored.record.video_id not in writer.done:
                    writer.append(stored.record, stored.provenance)
                progress.advance()
        writer.seal()


def _marks(folder: Path, groups: list[_Group]) -> list[Merged]:
    """What is to be known of all planned shards that are in others, now or by an earlier merge."""
    marks = {merged.shard: merged for merged in read_merged(folder)}
    for group in groups:
        first = 0
        for shard in group.shards:
            name, size = shard.path.stem, len(shard.index)
            inside = [merged for merged in marks.values() if merged.into == name]
            if not name.startswith(MERGED_PREFIX):
                inside = [Merged(name, name, 0, size)]
            for merged in inside:
                place = first + merged.first, first + merged.stop
                marks[merged.shard] = Merged(merged.shard, group.name, *place)
            first += size
    return list(marks.values())


def _records(shards: list[SealedShard]) -> Counter[tuple[Any, ...]]:
    """What indices say of every record but its place."""
    places = ("first_row", "first_span", "provenance")
    return Counter(
        (
            shard.label.fingerprint_digest,
            *(entry[name] for name in entry.dtype.names if name not in places),
        )
        for shard in shards
        for entry in shard.index
    )
