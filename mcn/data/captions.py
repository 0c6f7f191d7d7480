"""Captions of narrated videos, in the forms in which HowTo100M is handed on.

    raw_caption.json, caption.json   {video id: {"start": [...], "end": [...], "text": [...]}}
    *.pickle, *.pkl                  the same, read without running anything that is in it
    <video id>.csv                   of one video: start,end,text
    a folder                         one of these files; else a csv a video

Lines are kept in the order of the file, each with its place: none is dropped, sorted or mended.
A text that is no text (pandas leaves NaN where it was empty) is empty. Captions overlap, and may
last no time or end before they start; a time that is not a finite number is an error, since
nothing can be cut out there. The whole file is held in memory.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcn.data.restricted_pickle import PICKLE_SUFFIXES, load_plain_pickle
from mcn.data.rows import read_rows

CAPTION_FILES = (
    "raw_caption.json",
    "caption.json",
    "raw_caption.pickle",
    "raw_caption.pkl",
    "caption.pickle",
    "caption.pkl",
)
"""What is looked for in a folder, in this order: the raw ones still have their stop words."""

COLUMNS = ("start", "end", "text")

Seconds = Sequence[float | int] | NDArray[np.float64]
"""Times of several captions; a column of a store's spans will do."""


@dataclass(frozen=True)
class Captions:
    """The captions of one video, line by line."""

    start_seconds: Seconds
    end_seconds: Seconds
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)


def read_captions(path: Path | str) -> dict[str, Captions]:
    """The captions of every video in a file, or in a folder.

    Raises:
        FileNotFoundError: If there is no such file, or no captions in the folder.
        ValueError: If something is no caption file; names the file, the video, and the caption
            counted from 0.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: captions are read from a folder of csv files, one a video, or "
            f"from {', '.join(CAPTION_FILES)}"
        )
    if path.suffix == ".csv":
        return {path.stem: _read_csv(path)}
    content = _load(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {_kind(content)}, not captions by video id")
    return {video_id: _captions(entry, video_id, path) for video_id, entry in content.items()}


def _read_folder(folder: Path) -> dict[str, Captions]:
    for name in CAPTION_FILES:
        if (folder / name).exists():
            return read_captions(folder / name)
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise FileNotFoundError(
            f"{folder} has no captions: put {CAPTION_FILES[0]} there, or one csv a video "
            "(<video id>.csv with columns start,end,text)"
        )
    return {path.stem: _read_csv(path) for path in paths}


def _load(path: Path) -> Any:
    if path.suffix in PICKLE_SUFFIXES:
        return load_plain_pickle(path)
    if path.suffix != ".json":
        raise ValueError(
            f"{path}: captions are .json, .pickle, .pkl, .csv or a folder, not {path.suffix!r}"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is not whole, or not JSON: {error}") from error


def _read_csv(path: Path) -> Captions:
    rows = [row for _, row in read_rows(path, COLUMNS)]
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    return _captions(columns, path.stem, path)


def _captions(entry: Any, video_id: Any, path: Path) -> Captions:
    where = f"{path}: video {video_id!r}"
    if not isinstance(video_id, str):
        raise ValueError(f"{where}: an id is a text, not {_kind(video_id)}")
    columns = entry if isinstance(entry, dict) else {}
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    lists = [
        values.tolist() if isinstance(values, np.ndarray) else values
        for values in (columns[name] for name in COLUMNS)
    ]
    if not all(isinstance(values, list | tuple) for values in lists):
        kinds = ", ".join(_kind(values) for values in lists)
        raise ValueError(f"{where}: start, end and text are lists, not {kinds}")
    start, end, texts = lists
    if not len(start) == len(end) == len(texts):
        raise ValueError(f"{where} has {len(start)} starts, {len(end)} ends, {len(texts)} texts")
    return Captions(
        start_seconds=[_seconds(value, where, number) for number, value in enumerate(start)],
        end_seconds=[_seconds(value, where, number) for number, value in enumerate(end)],
        texts=[text if isinstance(text, str) else "" for text in texts],
    )


def _seconds(value: Any, where: str, number: int) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"{where}, caption {number}: {value!r} is not a number of seconds")
    return seconds


def _kind(value: Any) -> str:
    return type(value).__name__
