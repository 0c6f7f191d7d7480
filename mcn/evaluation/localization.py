"""Where in a video the steps of a task are, and how well that was found.

Scores are matrices of frames by steps. Found is a step for every frame, -1 for none:

    ordered_alignment       one frame for each step, in the order of the steps (CrossTask)
    ordered_segmentation    a step for each frame, in order and without gaps (Mining YouTube)
    best_step_of_frames     a step for each frame, whatever the order

Steps and frames are counted from 0. How long a frame lasts is the caller's business. Not covered:
CrossTask's other alignment, in which a step may last and frames may be background; no published
evaluation of MCN uses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor


def ordered_alignment(
    cost: Real[np.ndarray | Tensor, "frames steps"] | Sequence[Sequence[float]],
) -> Int[np.ndarray | Tensor, " steps"]:
    """The frame of each step, ascending, at the least total cost; a tensor for a tensor.

    Of equally cheap frames the earliest is taken. An infinite cost forbids a step a frame.

    Raises:
        ValueError: If there are more steps than frames, or too many are forbidden, or a cost is
            NaN or minus infinity.
    """
    costs = _as_costs(cost)
    _refuse(costs, np.isnan(costs) | np.isneginf(costs))
    frames = _align(costs)
    return torch.from_numpy(frames).to(cost.device) if isinstance(cost, Tensor) else frames


def ordered_segmentation(
    cost: Real[np.ndarray | Tensor, "frames steps"],
) -> Int[np.ndarray, " frames"]:
    """The step of each frame at the least total cost: steps in order, none of them left out.

    Raises:
        ValueError: If there is no step, or more than frames, or a cost is not finite.
    """
    if cost.shape[1] == 0:
        raise ValueError("without a step there is nothing to put the frames into")
    # Where step k begins after frame t, frames up to t are paid for in step k-1, not in step k:
    # so the beginnings are aligned with the steps, at the difference of the sums up to t.
    costs = _as_costs(cost)
    _refuse(costs, ~np.isfinite(costs))
    paid = costs.cumsum(axis=0)[:-1]
    last_frames = _align(paid[:, :-1] - paid[:, 1:])
    begins = np.zeros(len(cost), dtype=np.int64)
    begins[last_frames + 1] = 1
    return begins.cumsum()


def best_step_of_frames(
    scores: Float[np.ndarray, "frames steps"],
) -> Int[np.ndarray, " frames"]:
    """The step that fits each frame best, the first of several; none (-1) where a score is NaN."""
    return np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))


def mark_frames(
    frames: Int[np.ndarray, " steps"], *, num_frames: int
) -> Int[np.ndarray, " num_frames"]:
    """The step of each frame, -1 for none, where step k is at `frames[k]`."""
    marked = np.full(num_frames, -1)
    marked[frames] = np.arange(len(frames))
    return marked


@dataclass(frozen=True)
class StepCount:
    """How many steps a video has, and how many of them were found."""

    found: int
    present: int


def count_steps(
    found: Int[np.ndarray, " frames"], truth: Bool[np.ndarray, "frames steps"]
) -> StepCount:
    """Steps that are in a video, and those of them with at least one frame found rightly.

    Args:
        found: Step of each frame, -1 for none.
        truth: Whether a step lasts during a frame; several may.
    """
    (frames,) = np.nonzero(found >= 0)
    steps = found[frames]
    right = steps[truth[frames, steps]]
    return StepCount(len(np.unique(right)), int(truth.any(axis=0).sum()))


def recall_of_videos(counts: Mapping[str, Sequence[StepCount]]) -> float:
    """Recall as MCN has it: of each video, averaged within a task, averaged over the tasks.

    Mining YouTube has no tasks: put all its videos into one. A video without any step is left
    out, and so is a task without a video that has one; NaN if nothing is left.
    """
    shares = [
        [count.found / count.present for count in videos if count.present]
        for videos in counts.values()
    ]
    return _mean([_mean(videos) for videos in shares if videos])


def recall_of_tasks(counts: Mapping[str, Sequence[StepCount]]) -> float:
    """Recall as CrossTask has it: of all steps of a task's videos, averaged over the tasks.

    Videos with many steps count for more than in `recall_of_videos`. A task without any step is
    left out; NaN if nothing is left.
    """
    present = {task: sum(count.present for count in videos) for task, videos in counts.items()}
    return _mean(
        [sum(count.found for count in counts[task]) / num for task, num in present.items() if num]
    )


@dataclass(frozen=True)
class Overlap:
    """Agreement of two labellings of one video's frames, averaged over the true classes."""

    iou: float
    """Intersection over union: |found and true| / |found or true|."""
    iod: float
    """Intersection over detection: |found and true| / |found|; 0 where a class was not found."""


def overlap(
    found: Int[np.ndarray, " frames"],
    truth: Int[np.ndarray, " frames"],
    *,
    background: int | None = None,
) -> Overlap | None:
    """How far labels agree with the true ones, per class, averaged over the classes in the truth.

    Averaged over videos this is what Mining YouTube reports.

    Args:
        found: Class of each frame.
        truth: Class of each frame.
        background: Class that is left out of the average; by default none is.

    Returns:
        None if no class is left: the video is then left out of an average over videos.
    """
    classes = [int(label) for label in np.unique(truth) if label != background]
    if not classes:
        return None
    both = np.array([np.sum((found == label) & (truth == label)) for label in classes])
    either = np.array([np.sum((found == label) | (truth == label)) for label in classes])
    detected = np.array([np.sum(found == label) for label in classes])
    return Overlap(
        iou=float(np.mean(both / either)), iod=float(np.mean(both / np.maximum(detected, 1)))
    )


def _as_costs(
    cost: np.ndarray | Tensor | Sequence[Sequence[float]],
) -> Float[np.ndarray, "frames steps"]:
    if isinstance(cost, Tensor):
        cost = cost.detach().double().cpu().numpy()
    costs = np.asarray(cost, dtype=np.float64)
    if costs.ndim != 2:
        raise ValueError(f"costs of shape {costs.shape} are no matrix of frames by steps")
    num_frames, num_steps = costs.shape
    if num_steps > num_frames:
        raise ValueError(
            f"{num_steps} steps cannot be put in order into {num_frames} frames: each needs one"
        )
    return costs


def _refuse(costs: np.ndarray, is_bad: Bool[np.ndarray, "frames steps"]) -> None:
    if is_bad.any():
        frame, step = np.argwhere(is_bad)[0]
        raise ValueError(f"the cost of step {step} at frame {frame} is {costs[frame, step]}")


def _align(costs: Float[np.ndarray, "frames steps"]) -> Int[np.ndarray, " steps"]:
    """Dynamic programming over steps, all frames at once.

    Step k cannot come before frame k, nor so late that no frame is left for those after it. So
    what is sought is each step's delay on that earliest frame, which never falls.
    """
    num_frames, num_steps = costs.shape
    delays = np.arange(num_frames - num_steps + 1)
    total = np.zeros(len(delays))  # least cost of the steps so far, the last of them at a delay
    best_delays = []  # the best delay up to each delay, step by step
    for step in range(num_steps):
        least = np.minimum.accumulate(total)
        is_new = np.concatenate(([True], total[1:] < least[:-1]))
        best_delays.append(np.maximum.accumulate(np.where(is_new, delays, 0)))
        total = least + costs[step : step + len(delays), step]
    frames = np.empty(num_steps, dtype=np.int64)
    delay = int(total.argmin())
    if total[delay] == np.inf:
        raise ValueError(
            f"{num_steps} steps cannot be put in order into {num_frames} frames: so many costs are "
            "infinite that no finite choice is left"
        )
    for step in reversed(range(num_steps)):
        frames[step] = delay + step
        delay = best_delays[step][delay]
    return frames


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
