"""Benchmarks of steps from their folders."""

from pathlib import Path

import numpy as np

from mcn.data.crosstask import read_annotations, read_tasks, read_videos
from mcn.data.mining_youtube import AlignedVideo, read_classes, read_mining_youtube
from mcn.data.step_folder import (
    CLASSES_TEXT,
    CROSSTASK_ANNOTATIONS,
    CROSSTASK_TASKS,
    CROSSTASK_VIDEOS,
    MINING_YOUTUBE_CLASSES,
    is_crosstask,
)
from mcn.evaluation.step_videos import CrossTaskVideo, MiningYoutubeVideo

BACKGROUND = "background"


def read_step_videos(folder: Path) -> list[CrossTaskVideo] | list[MiningYoutubeVideo]:
    """The annotated videos of CrossTask or Mining YouTube, by task and id.

    Raises:
        ValueError: An annotation is not right, or none is left.
    """
    return _crosstask(folder) if is_crosstask(folder) else _mining_youtube(folder)


def _crosstask(folder: Path) -> list[CrossTaskVideo]:
    tasks = read_tasks(folder / CROSSTASK_TASKS)
    annotations = read_annotations(folder / CROSSTASK_ANNOTATIONS, tasks)
    path = folder / CROSSTASK_VIDEOS
    asked = set(read_videos(path)) if path.exists() else annotations.keys()
    videos = [
        CrossTaskVideo(
            task=task_id, video_id=video_id, num_steps=len(tasks[task_id].steps), spans=spans
        )
        for (task_id, video_id), spans in annotations.items()
        if (task_id, video_id) in asked
    ]
    if not videos:
        raise ValueError(f"{path} names none of the {len(annotations)} annotated videos")
    return videos


def _mining_youtube(folder: Path) -> list[MiningYoutubeVideo]:
    path = folder / MINING_YOUTUBE_CLASSES
    classes = read_classes(path)
    if BACKGROUND not in classes:
        raise ValueError(f"{path} has no class {BACKGROUND!r}, which IoU and IoD leave out")
    # The text store has the classes in the order of their numbers, whatever these are.
    line = {number: line for line, number in enumerate(sorted(classes.values()))}
    return [
        MiningYoutubeVideo(
            video_id=video_id,
            text_id=CLASSES_TEXT,
            aligned=AlignedVideo(
                transcript=tuple(line[number] for number in video.transcript),
                frame_classes=np.array([line[n] for n in video.frame_classes.tolist()], np.int64),
            ),
            background=line[classes[BACKGROUND]],
        )
        for video_id, video in read_mining_youtube(folder, classes).items()
    ]
