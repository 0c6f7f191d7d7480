"""How many videos, and how many of their frames, have passed each stage of the preparation."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcn.data.ledger import LedgerFile
from mcn.data.manifest import RAW_SUFFIXES
from mcn.data.stores import Features
from mcn.root import Root
from mcn.store.shard import open_shard, shard_paths

STAGES = ("downloaded", "resized", "audio extracted", "audio and video extracted")


@dataclass(frozen=True)
class Census:
    """Counts at one moment; a video that failed at a stage has not passed it."""

    at: float
    """Seconds since 1970."""
    expected: int
    """Videos that there are to be: those of the manifest, or else the raw files."""
    videos: dict[str, int]
    """By stage."""
    frames: dict[str, float]
    """By stage; of videos that are not resized yet nobody knows, and they count as the mean."""

    @property
    def expected_frames(self) -> float:
        return self.expected * self.mean_frames

    @property
    def mean_frames(self) -> float:
        """Of a resized video; 1 while there is none, so that frames count videos."""
        return self.frames["resized"] / self.videos["resized"] if self.videos["resized"] else 1.0


def take_census(root: Root, features: Features, *, at: float) -> Census:
    """Count what lies below a root at this moment."""
    frames_of = dict(_resized(root.ledger / "resize"))
    audio = frozenset(_extracted(root.store / features.audio))
    video = frozenset(_extracted(root.store / features.video))
    mean = sum(frames_of.values()) / len(frames_of) if frames_of else 1.0
    downloaded = max(_num_raw(root.raw), len(frames_of))
    videos = {
        "downloaded": downloaded,
        "resized": len(frames_of),
        "audio extracted": len(audio),
        "audio and video extracted": len(audio & video),
    }
    frames = {
        "downloaded": downloaded * mean,
        "resized": float(sum(frames_of.values())),
        "audio extracted": _sum(frames_of, audio, mean),
        "audio and video extracted": _sum(frames_of, audio & video, mean),
    }
    expected = max(_num_in_manifest(root.manifest), downloaded)
    return Census(at, expected, videos, frames)


def _sum(frames_of: Mapping[str, int], video_ids: frozenset[str], mean: float) -> float:
    return float(sum(frames_of.get(video_id, mean) for video_id in video_ids))


def _resized(folder: Path) -> Iterator[tuple[str, int]]:
    for path in folder.glob("*.jsonl"):
        for outcome in LedgerFile(path).read().values():
            if outcome.status == "done":
                yield outcome.video_id, outcome.num_frames


def _extracted(folder: Path) -> Iterator[str]:
    """Videos whose features are in sealed shards; those of open ones come when they are sealed."""
    for path in shard_paths(folder):
        index = open_shard(path).index
        ids = index["video_id"][index["status"] == b"done"].tolist()
        yield from (video_id.decode() for video_id in ids)


def _num_raw(folder: Path) -> int:
    if not folder.exists():
        return 0
    with os.scandir(folder) as entries:
        return sum(Path(entry.name).suffix.lower() in RAW_SUFFIXES for entry in entries)


def _num_in_manifest(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return max(0, sum(1 for _ in file) - 1)


def append_census(path: Path, census: Census) -> None:
    """Add a line to the log from which forecasts are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(vars(census)) + "\n")


def read_log(path: Path) -> list[Census]:
    """All censuses of a log, the oldest first; a line that a kill cut off is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [Census(**json.loads(line)) for line in lines if line.endswith("}\n")]
