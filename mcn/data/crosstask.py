"""CrossTask's own files: tasks, their steps, and when each step is seen in a video.

    tasks_primary.txt, tasks_related.txt    five lines a task, then a blank one: id, title, URL,
                                            number of steps, the steps split by commas
    videos.csv, videos_val.csv              task id,video id,URL; no header
    annotations/<task id>_<video id>.csv    step,start,end; no header; steps counted from 1

Only videos of primary tasks are annotated. A step may be seen several times in a video, or never,
and several steps at once.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from mcn.data.video_id import check_video_id

LINES_PER_TASK = 5


@dataclass(frozen=True)
class Task:
    """Something that people do in steps."""

    title: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class StepSpan:
    """A stretch of a video in which a step is seen; steps are counted from 0."""

    step: int
    start_seconds: float
    end_seconds: float


def read_tasks(path: Path | str) -> dict[str, Task]:
    """Tasks by their ids, in the order of the file.

    Raises:
        ValueError: If a task is cut off, is there twice, or has another number of steps than it
            says; names file and line.
    """
    path = Path(path)
    lines = _lines(path)
    tasks: dict[str, Task] = {}
    first = 0
    while first < len(lines):
        if not lines[first]:
            first += 1
            continue
        where = f"{path}, line {first + 1}"
        if first + LINES_PER_TASK > len(lines):
            raise ValueError(f"{where}: the task that begins here has not {LINES_PER_TASK} lines")
        task_id, title, _, count, names = lines[first : first + LINES_PER_TASK]
        steps = tuple(name.strip() for name in names.split(","))
        if count != str(len(steps)):
            raise ValueError(f"{where}: task {task_id} has {len(steps)} steps, and not {count!r}")
        if task_id in tasks:
            raise ValueError(f"{where}: task {task_id} is there twice")
        tasks[task_id] = Task(title, steps)
        first += LINES_PER_TASK
    return tasks


def read_videos(path: Path | str) -> list[tuple[str, str]]:
    """Task id and video id of each video.

    Raises:
        ValueError: If a line is no task, video and URL; names file and line.
    """
    return [
        (task_id, check_video_id(video_id, where))
        for where, (task_id, video_id, _) in _rows(Path(path), "task,video,url")
    ]


def read_annotations(
    folder: Path | str, tasks: Mapping[str, Task]
) -> dict[tuple[str, str], list[StepSpan]]:
    """Spans of every annotated video of these tasks, by task id and video id.

    Raises:
        FileNotFoundError: If the folder has no annotation of these tasks.
        ValueError: If an annotation is not right; names file and line.
    """
    folder = Path(folder)
    annotations = {}
    for path in sorted(folder.glob("*.csv")):
        task_id, _, video_id = path.stem.partition("_")  # video ids may have a _ of their own
        if task_id in tasks:
            spans = read_spans(path, num_steps=len(tasks[task_id].steps))
            annotations[task_id, check_video_id(video_id, str(path))] = spans
    if not annotations:
        raise FileNotFoundError(
            f"{folder} has no <task id>_<video id>.csv of the {len(tasks)} tasks asked for: it is "
            "to be the folder annotations/ of CrossTask's release"
        )
    return annotations


def read_spans(path: Path | str, *, num_steps: int) -> list[StepSpan]:
    """When the steps of a task are seen in one video, in the order of the file.

    Raises:
        ValueError: If there is no such step, or its times are none; names file and line.
    """
    return [_span(row, num_steps, where) for where, row in _rows(Path(path), "step,start,end")]


def mark_seconds(
    spans: Collection[StepSpan], *, num_seconds: int, num_steps: int
) -> Bool[np.ndarray, "num_seconds num_steps"]:
    """Whether each step is seen in each second, begun seconds included, as CrossTask has it.

    What lies after the last second is left out.
    """
    marked = np.zeros((num_seconds, num_steps), dtype=bool)
    for span in spans:
        marked[math.floor(span.start_seconds) : math.ceil(span.end_seconds), span.step] = True
    return marked


def _span(row: list[str], num_steps: int, where: str) -> StepSpan:
    try:
        step, start, end = int(row[0]), float(row[1]), float(row[2])
    except ValueError:
        step, start, end = 0, math.nan, math.nan
    if not (1 <= step <= num_steps and 0 <= start <= end < math.inf):
        raise ValueError(
            f"{where}: {','.join(row)!r} is no step from 1 to {num_steps} with its start and end "
            "in seconds"
        )
    return StepSpan(step - 1, start, end)


def _rows(path: Path, columns: str) -> Iterator[tuple[str, list[str]]]:
    """Each row of a csv without header, as ("<file>, line 7", fields); blank lines left out."""
    for number, line in enumerate(_lines(path), start=1):
        fields = [field.strip() for field in line.split(",")]
        if line and len(fields) != columns.count(",") + 1:
            raise ValueError(f"{path}, line {number}: {line!r} is not {columns}")
        if line:
            yield f"{path}, line {number}", fields


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    return [line.strip() for line in text.rstrip().split("\n")]
