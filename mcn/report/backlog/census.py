"""How many videos, and how many of their frames, have passed each stage of the preparation."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mcn.data.manifest import RAW_SUFFIXES
from mcn.report.backlog.steps import Steps
from mcn.root import Root
from mcn.store.ids import are_in

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
    def mean_frames(self) -> float:
        """Of a resized video; 1 while there is none, so that frames count videos."""
        return self.frames["resized"] / self.videos["resized"] if self.videos["resized"] else 1.0


def take_census(root: Root, steps: Steps, *, at: float) -> Census:
    """Count what lies below a root at this moment."""
    resized = steps.resize.done
    audio = steps.audio.done
    both = audio[are_in(audio, steps.video.done)]
    num_frames = int(resized["num_frames"].sum())
    mean = num_frames / len(resized) if len(resized) else 1.0
    num_deleted = int(resized["is_source_deleted"].sum())
    downloaded = max(_num_raw(root.raw) + num_deleted, len(resized))
    videos = {
        "downloaded": downloaded,
        "resized": len(resized),
        "audio extracted": len(audio),
        "audio and video extracted": len(both),
    }
    frames = {
        "downloaded": downloaded * mean,
        "resized": float(num_frames),
        "audio extracted": _frames(resized, audio, mean),
        "audio and video extracted": _frames(resized, both, mean),
    }
    expected = max(_num_in_manifest(root.manifest), downloaded)
    return Census(at, expected, videos, frames)


def _frames(resized: NDArray[Any], video_ids: NDArray[Any], mean: float) -> float:
    """Of these videos; one that is not in the ledger counts as the mean."""
    known = resized["num_frames"][are_in(resized["video_id"], video_ids)]
    return float(known.sum() + (len(video_ids) - len(known)) * mean)


def _num_raw(folder: Path) -> int:
    if not folder.exists():
        return 0
    with os.scandir(folder) as entries:
        return sum(Path(entry.name).suffix.lower() in RAW_SUFFIXES for entry in entries)


def _num_in_manifest(path: Path) -> int:
    if not path.exists():
        return 0
    content = path.read_bytes()
    has_open_line = bool(content) and not content.endswith(b"\n")
    return max(0, content.count(b"\n") + has_open_line - 1)


def append_census(path: Path, census: Census) -> None:
    """Add a line to the log from which forecasts are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        # The first line break ends a line that a crash has cut off.
        file.write(f"\n{json.dumps(vars(census))}\n")


def read_log(path: Path) -> list[Census]:
    """All censuses of a log, the oldest first; a line that a crash cut off is left out."""
    if not path.exists():
        return []
    censuses = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            censuses.append(Census(**json.loads(line)))
    return censuses
