"""95 % intervals of what is averaged over the videos of each task, and then over the tasks.

Whole videos are drawn, each task's from its own: tasks are what a benchmark chose to ask, videos a
sample of those there are. A task with a single video adds nothing to the width of an interval.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mcn.evaluation.statistics import RESAMPLES, Interval, draw_groups, quantiles_of

FEWEST_VIDEOS = 10
"""Videos from which on it means something to draw from them."""


def mean_of_tasks_interval(
    numerators: Float[np.ndarray, " videos"],
    denominators: Float[np.ndarray, " videos"],
    tasks: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean over tasks of the sum of numerators over that of denominators, with its interval.

    With shares over ones this is the mean of videos, then of tasks; with steps found over steps
    present it is pooled within a task. A video whose denominator is 0 takes no part.

    Args:
        numerators: Of each video; differences of two models for the interval of a difference.
        denominators: Of each video.
        tasks: The task of each video.
        resamples: How often the videos of each task are drawn.
        seed: Decides the draws.

    Returns:
        Without ends (NaN) where there are fewer than ten videos.

    Raises:
        ValueError: No video takes part.
    """
    takes_part = denominators > 0
    if not takes_part.any():
        raise ValueError("no video has a step, and so there is nothing to average")
    names, task_of_video = np.unique(np.asarray(tasks)[takes_part], return_inverse=True)
    top, bottom = numerators[takes_part], denominators[takes_part]
    value = float(
        np.mean(
            np.bincount(task_of_video, weights=top) / np.bincount(task_of_video, weights=bottom)
        )
    )
    if len(top) < FEWEST_VIDEOS:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    outcomes = np.zeros(resamples)
    for task in range(len(names)):
        is_here = task_of_video == task
        chunks = draw_groups(int(is_here.sum()), resamples, rng)
        outcomes += np.concatenate([(c @ top[is_here]) / (c @ bottom[is_here]) for c in chunks])
    return Interval(value, *quantiles_of(outcomes / len(names)))
