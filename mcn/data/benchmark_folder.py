"""A benchmark on disk: its annotation, recognised by its published file name."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from mcn.data.benchmarks import BenchmarkClip, read_clips, read_films, read_msrvtt, read_youcook2
from mcn.data.captions import Captions
from mcn.data.step_folder import CROSSTASK_TASKS, MINING_YOUTUBE_CLASSES
from mcn.root import Root

PUBLISHED_CLIPS = "published_clips.csv"
"""What remains of a published pickle beside its features in the store."""

ANNOTATIONS: dict[str, Callable[[Path], list[BenchmarkClip]]] = {
    "validation_youcook.csv": read_youcook2,
    "msrvtt_test.csv": read_msrvtt,
    "MSRVTT_JSFUSION_test.csv": read_msrvtt,
    PUBLISHED_CLIPS: read_clips,
}

TITLES = {
    "youcook2": "YouCook2",
    "msrvtt": "MSR-VTT",
    "crosstask": "CrossTask",
    "miningyoutube": "Mining YouTube",
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "esc50": "ESC-50",
}
"""How tables call the benchmark of a folder."""


def benchmark_folders(root: Root) -> list[Path]:
    """The folders of all benchmarks, in the order in which tables show them."""
    known = list(TITLES)
    folders = [path for path in root.benchmarks.glob("*") if path.is_dir()]
    return sorted(folders, key=lambda f: (known.index(f.name) if f.name in known else 99, f.name))


def has_annotation(folder: Path) -> bool:
    """Whether this is the folder of a benchmark."""
    return any((folder / name).exists() for name in ANNOTATIONS)


def read_benchmark(folder: Path) -> list[BenchmarkClip]:
    """The clips of the benchmark in this folder.

    Raises:
        FileNotFoundError: It has no annotation; the message says which names are known.
    """
    for name, read in ANNOTATIONS.items():
        if (folder / name).exists():
            return read(folder / name)
    raise FileNotFoundError(
        f"{folder} has no annotation: put one of "
        f"{', '.join((*ANNOTATIONS, CROSSTASK_TASKS, MINING_YOUTUBE_CLASSES))} there"
    )


def films_of_clips(folder: Path) -> dict[str, str]:
    """From which video each clip was cut, where clips are stored as videos of their own."""
    published = folder / PUBLISHED_CLIPS
    return read_films(published) if published.exists() else {}


def sentences_of_videos(
    clips: list[BenchmarkClip], seconds: Mapping[str, float]
) -> dict[str, Captions]:
    """Each video's sentences in the place of captions, in the order of the annotation.

    Args:
        clips: The clips of the benchmark.
        seconds: Length of each video that there is: where a clip lasts to the end of its video.
    """
    by_video: dict[str, list[BenchmarkClip]] = {}
    for clip in clips:
        by_video.setdefault(clip.video_id, []).append(clip)
    return {
        video_id: Captions(
            start_seconds=[clip.start_seconds for clip in group],
            end_seconds=[_end(clip, seconds.get(video_id, 0.0)) for clip in group],
            texts=[clip.text for clip in group],
        )
        for video_id, group in by_video.items()
    }


def _end(clip: BenchmarkClip, seconds: float) -> float:
    return seconds if math.isinf(clip.end_seconds) else clip.end_seconds
