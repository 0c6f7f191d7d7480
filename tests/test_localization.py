import inspect
import itertools
import math

import numpy as np
import pytest
import torch

from mcn.evaluation.localization import (
    StepCount,
    best_step_of_frames,
    count_steps,
    mark_frames,
    ordered_alignment,
    ordered_segmentation,
    overlap,
    recall_of_tasks,
    recall_of_videos,
)

SHAPES = [(frames, steps) for frames in range(1, 8) for steps in range(1, 5) if steps <= frames] + [
    (9, 9),
    (12, 2),
]


def published_cost() -> np.ndarray:
    """Input that anyone can rebuild; in float32, as published."""
    t, k = np.arange(8)[:, None], np.arange(3)[None, :]
    cost: np.ndarray = np.sin(0.37 * t**2 + 0.11 * k + 0.5 * t * k).astype(np.float32)
    return cost


def random_costs(frames: int, steps: int, seed: int, *, has_ties: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if has_ties:
        return rng.integers(0, 3, (frames, steps)).astype(float)
    return rng.standard_normal((frames, steps))


def test_ordered_alignment_gives_the_published_frames() -> None:
    cost = published_cost()
    frames = ordered_alignment(cost)
    assert frames.tolist() == [0, 3, 4]
    assert cost[frames, range(3)].sum() == pytest.approx(-1.6299933195114136, abs=1e-6)


@pytest.mark.parametrize("has_ties", [False, True])
@pytest.mark.parametrize("frames, steps", SHAPES)
def test_ordered_alignment_is_the_first_of_the_best_of_all(
    frames: int, steps: int, has_ties: bool
) -> None:
    for seed in range(5):
        cost = random_costs(frames, steps, seed, has_ties=has_ties)
        best = min(
            itertools.combinations(range(frames), steps),
            key=lambda chosen: sum(cost[frame, step] for step, frame in enumerate(chosen)),
        )
        found = ordered_alignment(cost)
        total = cost[found, range(steps)].sum()
        assert total == pytest.approx(cost[list(best), range(steps)].sum(), abs=1e-12)
        assert (np.diff(found) > 0).all()
        if not has_ties:
            assert found.tolist() == list(best)


def test_as_many_steps_as_frames_leave_no_choice() -> None:
    for seed in range(20):
        cost = random_costs(6, 6, seed, has_ties=False)
        assert ordered_alignment(cost).tolist() == list(range(6))
        assert ordered_segmentation(cost).tolist() == list(range(6))


def test_of_equally_cheap_frames_the_earliest_is_taken() -> None:
    assert ordered_alignment(np.zeros((9, 3))).tolist() == [0, 1, 2]
    assert ordered_alignment(np.array([[1.0], [0.0], [0.0]])).tolist() == [1]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64])
def test_a_tensor_is_answered_by_a_tensor(dtype: torch.dtype) -> None:
    cost = torch.eye(5)[:, [1, 3]].mul(-1).to(dtype)
    frames = ordered_alignment(cost)
    assert isinstance(frames, torch.Tensor)
    assert torch.equal(frames, torch.tensor([1, 3]))


def test_a_list_is_answered_as_an_array_is() -> None:
    assert ordered_alignment([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]).tolist() == [0, 2]
    assert ordered_alignment([[0, 1], [1, 0]]).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"shape \(2,\) are no matrix"):
        inspect.unwrap(ordered_alignment)(np.zeros(2))


@pytest.mark.parametrize("frames, steps", SHAPES)
def test_a_frame_of_infinite_cost_is_taken_by_no_step(frames: int, steps: int) -> None:
    rng = np.random.default_rng(frames * 10 + steps)
    for share in (0.1, 0.3, 0.6):
        cost = random_costs(frames, steps, steps, has_ties=False)
        cost[rng.random(cost.shape) < share] = math.inf
        every = itertools.combinations(range(frames), steps)
        best = min(every, key=lambda chosen: cost[list(chosen), range(steps)].sum())
        if math.isinf(cost[list(best), range(steps)].sum()):
            with pytest.raises(ValueError, match=f"{steps} steps .* {frames} frames: so many"):
                ordered_alignment(cost)
        else:
            assert ordered_alignment(torch.from_numpy(cost)).tolist() == list(best)


def test_no_step_is_at_no_frame() -> None:
    assert ordered_alignment(np.zeros((4, 0))).shape == (0,)
    with pytest.raises(ValueError, match="without a step"):
        ordered_segmentation(np.zeros((4, 0)))


def test_more_steps_than_frames_are_an_error() -> None:
    for align in (ordered_alignment, ordered_segmentation):
        with pytest.raises(ValueError, match="3 steps cannot be put in order into 2 frames"):
            align(np.zeros((2, 3)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_diverged_model_has_no_alignment(value: float) -> None:
    cost = np.zeros((5, 2))
    cost[3, 1] = value
    for align in (ordered_alignment, ordered_segmentation):
        if align is ordered_alignment and value == math.inf:
            assert align(cost).tolist() == [0, 1]
            continue
        with pytest.raises(ValueError, match=f"step 1 at frame 3 is {value}"):
            align(cost)


@pytest.mark.parametrize("frames, steps", SHAPES)
def test_ordered_segmentation_is_the_best_of_all(frames: int, steps: int) -> None:
    for seed in range(5):
        cost = random_costs(frames, steps, seed, has_ties=False)
        every = [
            np.searchsorted(begins, np.arange(frames), side="right")
            for begins in itertools.combinations(range(1, frames), steps - 1)
        ]
        best = min(every, key=lambda labels: cost[np.arange(frames), labels].sum())
        assert ordered_segmentation(cost).tolist() == best.tolist()


def test_each_frame_has_its_best_step_and_none_where_a_score_is_nan() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5], [math.nan, 0.2]])
    assert best_step_of_frames(scores).tolist() == [1, 0, 0, -1]


def test_frames_of_an_alignment_are_marked() -> None:
    assert mark_frames(np.array([1, 4]), num_frames=6).tolist() == [-1, 0, -1, -1, 1, -1]


TRUTH = np.array(
    [
        # three steps: the first twice, the second beside it, the third never
        [True, False, False],
        [True, True, False],
        [False, True, False],
        [False, False, False],
        [True, False, False],
    ]
)


@pytest.mark.parametrize(
    "found, right",
    [
        ([0, -1, 1, -1, -1], 2),
        ([0, 0, -1, -1, 0], 1),  # a step found thrice is one step
        ([1, 2, 0, 0, 2], 0),
        ([2, 2, 2, 2, 2], 0),  # what is not there cannot be found
        ([-1, -1, -1, -1, -1], 0),
    ],
)
def test_steps_with_one_right_frame_are_found(found: list[int], right: int) -> None:
    assert count_steps(np.array(found), TRUTH) == StepCount(found=right, present=2)


COUNTS = {
    "make latte": [StepCount(1, 1), StepCount(1, 5)],
    "fry egg": [StepCount(2, 4)],
}


def test_recall_is_averaged_over_videos_or_over_steps() -> None:
    assert recall_of_videos(COUNTS) == pytest.approx(((1 + 1 / 5) / 2 + 1 / 2) / 2)
    assert recall_of_tasks(COUNTS) == pytest.approx((2 / 6 + 1 / 2) / 2)


def test_videos_without_a_step_take_no_part() -> None:
    with_empty = {**COUNTS, "fry egg": [StepCount(0, 0), *COUNTS["fry egg"]], "rest": []}
    assert recall_of_videos(with_empty) == recall_of_videos(COUNTS)
    assert recall_of_tasks(with_empty) == recall_of_tasks(COUNTS)
    assert math.isnan(recall_of_videos({"rest": [StepCount(0, 0)]}))
    assert math.isnan(recall_of_tasks({}))


def test_overlap_by_hand() -> None:
    truth = np.array([9, 9, 1, 1, 1, 2, 2, 9])
    found = np.array([9, 1, 1, 1, 9, 9, 9, 3])
    # class 9: 1 of 6, 4 found; class 1: 2 of 4, 3 found; class 2: of 2, never found
    with_background = overlap(found, truth)
    assert with_background is not None
    assert with_background.iou == pytest.approx((1 / 6 + 2 / 4 + 0) / 3)
    assert with_background.iod == pytest.approx((1 / 4 + 2 / 3 + 0) / 3)
    without = overlap(found, truth, background=9)
    assert without is not None
    assert without.iou == pytest.approx((2 / 4 + 0) / 2)
    assert without.iod == pytest.approx((2 / 3 + 0) / 2)


def test_overlap_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    found, truth = rng.integers(0, 5, 200), rng.integers(0, 4, 200)
    ious, iods = [], []
    for label in range(4):
        found_at = {t for t in range(200) if found[t] == label}
        true_at = {t for t in range(200) if truth[t] == label}
        ious.append(len(found_at & true_at) / len(found_at | true_at))
        iods.append(len(found_at & true_at) / len(found_at))
    result = overlap(found, truth)
    assert result is not None
    assert result.iou == pytest.approx(sum(ious) / 4)
    assert result.iod == pytest.approx(sum(iods) / 4)


def test_a_perfect_labelling_overlaps_in_full_and_mere_background_not_at_all() -> None:
    truth = np.array([0, 1, 1, 2, 0])
    perfect, collapsed = overlap(truth, truth), overlap(np.zeros(5, int), truth, background=0)
    assert perfect is not None
    assert collapsed is not None
    assert (perfect.iou, perfect.iod) == (1, 1)
    assert (collapsed.iou, collapsed.iod) == (0, 0)
    assert overlap(truth, np.zeros(5, int), background=0) is None
