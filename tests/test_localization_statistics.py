import math

import numpy as np
import pytest

from mcn.evaluation.localization import StepCount, recall_of_tasks, recall_of_videos
from mcn.evaluation.localization_statistics import mean_of_tasks_interval


def test_both_definitions_of_recall_come_from_the_same_function() -> None:
    rng = np.random.default_rng(0)
    present = rng.integers(0, 7, size=30)
    found = rng.integers(0, present + 1)
    tasks = [str(video % 4) for video in range(30)]
    counts = {
        task: [StepCount(int(found[v]), int(present[v])) for v in range(30) if tasks[v] == task]
        for task in set(tasks)
    }
    shares = found / np.maximum(present, 1)
    by_video = mean_of_tasks_interval(shares, (present > 0).astype(float), tasks)
    pooled = mean_of_tasks_interval(found.astype(float), present.astype(float), tasks)
    assert by_video.value == pytest.approx(recall_of_videos(counts))
    assert pooled.value == pytest.approx(recall_of_tasks(counts))
    assert by_video.value != pytest.approx(pooled.value)


def test_the_interval_is_that_of_drawing_the_videos_of_each_task() -> None:
    rng = np.random.default_rng(1)
    tasks = np.array(["a"] * 8 + ["b"] * 20)
    present = rng.integers(1, 7, size=28).astype(float)
    found = rng.binomial(present.astype(int), np.where(tasks == "a", 0.7, 0.2)).astype(float)
    drawn = []
    for _ in range(4000):
        means = []
        for task in ("a", "b"):
            videos = np.flatnonzero(tasks == task)
            videos = rng.choice(videos, size=len(videos))
            means.append(found[videos].sum() / present[videos].sum())
        drawn.append(np.mean(means))
    interval = mean_of_tasks_interval(found, present, tasks.tolist())
    truth = np.quantile(drawn, [0.025, 0.975])
    assert [interval.low, interval.high] == pytest.approx(truth, abs=0.015)


def test_of_few_videos_there_is_a_value_and_no_interval() -> None:
    interval = mean_of_tasks_interval(np.ones(9), np.full(9, 2.0), ["a"] * 9)
    assert interval.value == 0.5
    assert math.isnan(interval.low) and math.isnan(interval.high)


def test_without_a_step_there_is_nothing_to_average() -> None:
    with pytest.raises(ValueError, match="no video has a step"):
        mean_of_tasks_interval(np.zeros(3), np.zeros(3), ["a"] * 3)
