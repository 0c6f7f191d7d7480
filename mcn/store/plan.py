"""What a shard is to hold; a journal and the shard made of it agree on it to the letter."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcn.store.fingerprint import Fingerprint
from mcn.store.layout import is_storable


@dataclass(frozen=True)
class ShardPlan:
    """The videos of a shard, in the order of its rows, and what makes their features."""

    video_ids: Sequence[str]
    fingerprint: Fingerprint

    def __post_init__(self) -> None:
        if not self.video_ids:
            raise ValueError("a shard needs at least one video")
        if len(set(self.video_ids)) < len(self.video_ids):
            twice = next(id_ for id_ in self.video_ids if self.video_ids.count(id_) > 1)
            raise ValueError(f"video {twice!r} is planned twice for one shard")
        for video_id in self.video_ids:
            if not video_id or not is_storable(video_id):
                raise ValueError(f"{video_id!r} cannot be the id of a video")

    def check_same(self, found: "ShardPlan", path: Path) -> None:
        """Raises ValueError if the file at `path` was begun for something else."""
        way_out = f"delete {path} to do the shard again, or write to another store"
        if found.fingerprint.to_json() != self.fingerprint.to_json():
            raise ValueError(
                f"{path}: made with another fingerprint (there and here: "
                f"{found.fingerprint.differences(self.fingerprint)}); {way_out}"
            )
        theirs, ours = list(found.video_ids), list(self.video_ids)
        if theirs != ours:
            odd = sorted(set(theirs) ^ set(ours))
            what = f"first difference {odd[0]!r}" if odd else "the order differs"
            raise ValueError(
                f"{path}: planned for other videos ({len(theirs)} there, {len(ours)} here, "
                f"{what}); {way_out}"
            )
