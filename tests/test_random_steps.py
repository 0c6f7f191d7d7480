import itertools

import numpy as np
import pytest

from mcn.evaluation.random_steps import chance_in_order, chance_second_by_second


@pytest.mark.parametrize("frames, steps", [(1, 1), (5, 1), (5, 3), (7, 4), (6, 6)])
def test_chance_in_order_is_the_mean_of_all_orderly_choices(frames: int, steps: int) -> None:
    truth = np.random.default_rng(frames * steps).random((frames, steps)) < 0.4
    found = [
        sum(truth[frame, step] for step, frame in enumerate(chosen))
        for chosen in itertools.combinations(range(frames), steps)
    ]
    assert chance_in_order(truth) == pytest.approx(np.mean(found))


def test_more_steps_than_frames_are_never_found() -> None:
    assert chance_in_order(np.ones((2, 3), dtype=bool)) == 0.0


def test_chance_second_by_second_is_the_mean_of_all_labellings() -> None:
    truth = np.random.default_rng(0).random((4, 3)) < 0.5
    found = [
        sum(any(labels[t] == k and truth[t, k] for t in range(4)) for k in range(3))
        for labels in itertools.product(range(3), repeat=4)
    ]
    assert chance_second_by_second(truth) == pytest.approx(np.mean(found))
