"""A benchmark of steps on disk: videos in which the steps of a task are to be found.

    CrossTask         tasks_primary.txt, annotations/, and videos_val.csv to evaluate those alone
    Mining YouTube    mapping_without_meta.txt, transcripts/, groundTruth/

Its text store holds what the steps are called: a text for each task of CrossTask, with a line for
each step, and for Mining YouTube one text with a line for each class, in the order of their
numbers.
"""

from collections.abc import Sequence
from pathlib import Path

from mcn.data.captions import Captions
from mcn.data.crosstask import read_tasks
from mcn.data.mining_youtube import read_classes, text_of_class

CROSSTASK_TASKS = "tasks_primary.txt"
CROSSTASK_VIDEOS = "videos_val.csv"
CROSSTASK_ANNOTATIONS = "annotations"
MINING_YOUTUBE_CLASSES = "mapping_without_meta.txt"

CLASSES_TEXT = "classes"
"""Name in the text store of the text that has all classes of Mining YouTube."""


def is_crosstask(folder: Path) -> bool:
    """Whether this is the folder of CrossTask."""
    return (folder / CROSSTASK_TASKS).exists()


def is_mining_youtube(folder: Path) -> bool:
    """Whether this is the folder of Mining YouTube."""
    return (folder / MINING_YOUTUBE_CLASSES).exists()


def has_steps(folder: Path) -> bool:
    """Whether this is the folder of a benchmark of steps."""
    return is_crosstask(folder) or is_mining_youtube(folder)


def step_texts(folder: Path) -> dict[str, Captions]:
    """What the steps are called, in the place of captions, by the name of the text."""
    if is_crosstask(folder):
        tasks = read_tasks(folder / CROSSTASK_TASKS)
        return {task_id: _lines(task.steps) for task_id, task in tasks.items()}
    classes = read_classes(folder / MINING_YOUTUBE_CLASSES)
    names = sorted(classes, key=lambda name: classes[name])
    return {CLASSES_TEXT: _lines([text_of_class(name) for name in names])}


def _lines(texts: Sequence[str]) -> Captions:
    """Steps have no time of their own."""
    none = [0.0] * len(texts)
    return Captions(start_seconds=none, end_seconds=none, texts=list(texts))
