"""What is sound of a broken shard becomes a journal, or a sealed shard where nothing is missing.

The broken file is moved aside first, so that the shard counts as not done, and is kept until all
of its videos are in sealed shards again. A crash at any moment is mended by running again.
"""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mcn.data.failure_class import class_of, is_due
from mcn.store.layout import SEALED_SUFFIX, is_sealed
from mcn.store.rawio import fsync_folder
from mcn.store.shard import UNREADABLE, shard_paths
from mcn.store.stored_records import sound_records
from mcn.store.upkeep.damaged import read_damaged
from mcn.store.upkeep.merged import forget_unmerged, unmerge
from mcn.store.verify import verify_shard
from mcn.store.writer import ShardWriter

BROKEN_SUFFIX = ".broken"


@dataclass
class Repair:
    """What became of a broken shard."""

    path: Path
    num_kept: int = 0
    lost: list[str] = field(default_factory=list)
    """Videos to be extracted again."""
    is_all_lost: bool = False
    """Nothing in the file says for certain what is whose: all videos are to be extracted again."""
    unsealed: list[Path] = field(default_factory=list)
    """Shards that extraction has to fill."""


def shards_to_look_at(folder: Path) -> list[Path]:
    """Sealed shards of a folder, and those whose broken file waits for what is missing."""
    broken = {path.with_suffix("") for path in folder.glob(f"*{SEALED_SUFFIX}{BROKEN_SUFFIX}")}
    return sorted(broken | set(shard_paths(folder)))


def repair_shard(path: Path) -> Repair | None:
    """Rescues the sound records of a shard; None if there is nothing to be done.

    Raises:
        ShardBusyError: If another process writes the shard.
        ValueError: If the shard has been begun again for other videos.
    """
    broken = broken_path(path)
    if path.exists():
        if not verify_shard(path):
            broken.unlink(missing_ok=True)  # all that was in it has been made again
            return None
        path.replace(broken)
        fsync_folder(path.parent)
    parts = unmerge(path.parent, path.stem)
    shards = [path.with_name(f"{part.shard}{SEALED_SUFFIX}") for part in parts] or [path]
    sizes = [part.stop - part.first for part in parts]
    repair = _rescue(path, shards, sizes)
    repair.unsealed = [shard for shard in shards if not is_sealed(shard)]
    if not repair.unsealed:
        broken.unlink()
        forget_unmerged(path.parent, parts)
    return repair


def broken_path(path: Path) -> Path:
    """Where a broken shard is kept until its videos have been made again."""
    return path.with_name(path.name + BROKEN_SUFFIX)


def _rescue(path: Path, shards: list[Path], sizes: list[int]) -> Repair:
    try:
        described = read_damaged(broken_path(path))
    except UNREADABLE:
        return Repair(path, is_all_lost=True)
    repair = Repair(path)
    ids, records = iter(described.video_ids), sound_records(described)
    for shard, size in zip(shards, sizes or [len(described.index)], strict=True):
        own = list(islice(ids, size))
        with ShardWriter(
            shard, video_ids=own, fingerprint=described.fingerprint, provenance={}
        ) as writer:
            for stored in islice(records, size):
                # Of a journal the records are the attempts: what is sealed as poison has had all.
                while stored is not None and _is_wanting(writer, stored.record.video_id):
                    writer.append(stored.record, stored.provenance)
            lost = [video_id for video_id in own if video_id not in writer.done]
            repair.lost += lost
            repair.num_kept += size - len(lost)
            if not lost:
                writer.seal()
    return repair


def _is_wanting(writer: ShardWriter, video_id: str) -> bool:
    failure = writer.failure(video_id)
    if failure is None:
        return video_id not in writer.done
    return is_due(class_of(failure.reason), failure.attempts, None)
