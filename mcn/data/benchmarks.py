"""Sentences and the stretches of video that they describe, from the benchmarks' own files.

    YouCook2    csv: end,start,task,text,video_id, in any order of columns
    MSR-VTT     csv: key,vid_key,video_id,sentence, split by `,` or `;` (the 1k-A test set);
                json: the official {"videos": [...], "sentences": [...]}, all splits together
    both        pickle: the published features of the clips (published_clips.py); and the csv
                that remains of one in the folder of a benchmark

Clips are in the order of the file, one a sentence: several clips may share a video, a time or a
sentence.
"""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mcn.data.published_clips import YOUTUBE_ID_LENGTH, read_published_clips
from mcn.data.restricted_pickle import PICKLE_SUFFIXES
from mcn.data.rows import read_rows
from mcn.data.video_id import check_video_id


class BenchmarkClip(NamedTuple):
    """A stretch of a video, and the sentence that should find it."""

    video_id: str
    start_seconds: float
    end_seconds: float
    """Infinite where the clip lasts until the end of its video."""
    text: str


def read_youcook2(path: Path | str) -> list[BenchmarkClip]:
    """The clips of a YouCook2 annotation; the published validation set has 3,350.

    A published pickle says of a clip from which video it is, and not from where in it: its times
    are NaN.

    Raises:
        ValueError: If a column is missing or a clip has no length; names file and line.
    """
    path = Path(path)
    if path.suffix in PICKLE_SUFFIXES:
        return [
            BenchmarkClip(clip.id[:YOUTUBE_ID_LENGTH], math.nan, math.nan, clip.text)
            for clip in read_published_clips(path)
        ]
    return [
        BenchmarkClip(check_video_id(row["video_id"], where), *_times(row, where), row["text"])
        for where, row in read_rows(path, ("video_id", "start", "end", "text"))
    ]


def read_msrvtt(path: Path | str) -> list[BenchmarkClip]:
    """The clips of an MSR-VTT annotation; each is a whole video, from 0 to infinity.

    (The official json has times too: those of the film that the video was cut from.)

    Raises:
        ValueError: If the file is no such annotation; names file and line.
    """
    path = Path(path)
    sentences: Iterable[tuple[str, str, str]]
    if path.suffix == ".json":
        sentences = _official_sentences(path)
    elif path.suffix in PICKLE_SUFFIXES:
        sentences = ((str(path), clip.id, clip.text) for clip in read_published_clips(path))
    else:
        rows = read_rows(path, ("video_id", "sentence"))
        sentences = ((where, row["video_id"], row["sentence"]) for where, row in rows)
    return [
        BenchmarkClip(check_video_id(video_id, where), 0.0, math.inf, text)
        for where, video_id, text in sentences
    ]


CLIPS_COLUMNS = ("clip_id", "video_id", "seconds", "text")


def read_clips(path: Path | str) -> list[BenchmarkClip]:
    """Clips that are stored as videos of their own, from the csv that says which they are.

    Raises:
        ValueError: If a column is missing or a clip has no length; names file and line.
    """
    return [
        BenchmarkClip(
            check_video_id(row["clip_id"], where),
            *_times({"start": "0", "end": row["seconds"]}, where),
            row["text"],
        )
        for where, row in read_rows(Path(path), CLIPS_COLUMNS)
    ]


def read_films(path: Path | str) -> dict[str, str]:
    """From which video each clip of `read_clips` was cut."""
    return {row["clip_id"]: row["video_id"] for _, row in read_rows(Path(path), CLIPS_COLUMNS)}


def _times(row: dict[str, str], where: str) -> tuple[float, float]:
    try:
        start, end = float(row["start"]), float(row["end"])
    except ValueError:
        start = end = math.nan
    if not 0 <= start < end < math.inf:
        raise ValueError(
            f"{where}: a clip from {row['start']!r} to {row['end']!r} seconds has no length"
        )
    return start, end


def _official_sentences(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        sentences = json.loads(path.read_text(encoding="utf-8"))["sentences"]
        pairs = [(sentence["video_id"], sentence["caption"]) for sentence in sentences]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f'{path} is not MSR-VTT\'s {{"sentences": [{{"video_id", "caption"}}, ...]}}: {error!r}'
        ) from error
    for number, (video_id, text) in enumerate(pairs):
        yield f"{path}, sentence {number}", video_id, text
