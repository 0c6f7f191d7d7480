"""What is measured in one video of a benchmark of steps, given how well its seconds fit them.

Measures, by name:

    in order            steps found where each is put at one second, in the order of the steps
    second by second    steps found where each second is given the step that fits it best
    IoU, IoD            agreement with the true class of each frame, averaged over the classes;
                        the same without the background

`by_chance` has for each of them what is reached without looking at the video: on average over all
orderly choices, and for IoU and IoD where the transcript is cut into equal parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from mcn.data.crosstask import StepSpan, mark_seconds
from mcn.data.mining_youtube import AlignedVideo
from mcn.evaluation.localization import (
    best_step_of_frames,
    count_steps,
    mark_frames,
    ordered_alignment,
    ordered_segmentation,
    overlap,
)
from mcn.evaluation.random_steps import chance_in_order, chance_second_by_second

IN_ORDER, SECOND_BY_SECOND = "in order", "second by second"
IOU, IOD = "IoU", "IoD"
IOU_STEPS, IOD_STEPS = "IoU without background", "IoD without background"

Measured = dict[str, float | None]
"""By measure; None where the video has nothing to measure it on."""


@dataclass(frozen=True, kw_only=True)
class CrossTaskVideo:
    """A video of one of CrossTask's tasks; its text has a line for each step."""

    task: str
    video_id: str
    num_steps: int
    spans: Sequence[StepSpan]

    @property
    def text_id(self) -> str:
        return self.task

    def num_present(self, num_seconds: int) -> int:
        """Steps that are seen in the video."""
        return int(self._truth(num_seconds).any(axis=0).sum())

    def measure(self, scores: Float[np.ndarray, "seconds lines"]) -> Measured:
        truth = self._truth(len(scores))
        return {
            IN_ORDER: count_steps(_in_order(scores), truth).found,
            SECOND_BY_SECOND: count_steps(_second_by_second(scores), truth).found,
        }

    def by_chance(self, num_seconds: int) -> Measured:
        truth = self._truth(num_seconds)
        return {
            IN_ORDER: chance_in_order(truth),
            SECOND_BY_SECOND: chance_second_by_second(truth),
        }

    def _truth(self, num_seconds: int) -> Bool[np.ndarray, "num_seconds steps"]:
        return mark_seconds(self.spans, num_seconds=num_seconds, num_steps=self.num_steps)


@dataclass(frozen=True, kw_only=True)
class MiningYoutubeVideo:
    """A video of Mining YouTube; the text has a line for each class.

    Its files do not say how many frames a second has: they are spread evenly over the seconds of
    the features. Recall is of the steps of the transcript without the background.
    """

    video_id: str
    text_id: str
    aligned: AlignedVideo
    """Classes by the lines of the text."""
    background: int

    task = "all"
    """There are no tasks: recall is averaged over all videos."""

    def num_present(self, num_seconds: int) -> int:
        """Steps of the transcript that are seen in the video."""
        return int(self._truth(num_seconds).any(axis=0).sum())

    def measure(self, scores: Float[np.ndarray, "seconds lines"]) -> Measured:
        shares = _log_shares(scores[:, self._steps()])
        return {
            IN_ORDER: count_steps(_in_order(shares), self._truth(len(scores))).found,
            **self._overlaps(self._segmented(scores)),
        }

    def by_chance(self, num_seconds: int) -> Measured:
        num_frames, transcript = len(self.aligned.frame_classes), np.array(self.aligned.transcript)
        evenly = transcript[np.arange(num_frames) * len(transcript) // num_frames]
        return {IN_ORDER: chance_in_order(self._truth(num_seconds)), **self._overlaps(evenly)}

    def _steps(self) -> Int[np.ndarray, " steps"]:
        steps = [step for step in self.aligned.transcript if step != self.background]
        return np.array(steps, dtype=np.int64)

    def _truth(self, num_seconds: int) -> Bool[np.ndarray, "num_seconds steps"]:
        """Whether a step is seen in a second, in however few of its frames."""
        truth = np.zeros((num_seconds, len(self._steps())), dtype=bool)
        if num_seconds:
            is_step = self.aligned.frame_classes[:, None] == self._steps()
            np.logical_or.at(truth, self._second_of_frame(num_seconds), is_step)
        return truth

    def _second_of_frame(self, num_seconds: int) -> Int[np.ndarray, " frames"]:
        num_frames = len(self.aligned.frame_classes)
        seconds: np.ndarray = np.arange(num_frames) * num_seconds // num_frames
        return seconds

    def _segmented(self, scores: Float[np.ndarray, "seconds lines"]) -> Int[np.ndarray, " frames"]:
        """The class of each frame where the transcript is laid over the video; -1 if it cannot."""
        transcript = np.array(self.aligned.transcript, dtype=np.int64)
        of_steps = _without_evidence(scores[:, transcript])
        if not np.isfinite(of_steps).all() or not 0 < len(transcript) <= len(scores):
            return np.full(len(self.aligned.frame_classes), -1)
        of_second = ordered_segmentation(-of_steps)
        classes: np.ndarray = transcript[of_second[self._second_of_frame(len(scores))]]
        return classes

    def _overlaps(self, found: Int[np.ndarray, " frames"]) -> Measured:
        truth = self.aligned.frame_classes
        whole = overlap(found, truth)
        steps = overlap(found, truth, background=self.background)
        return {
            IOU: None if whole is None else whole.iou,
            IOD: None if whole is None else whole.iod,
            IOU_STEPS: None if steps is None else steps.iou,
            IOD_STEPS: None if steps is None else steps.iod,
        }


def _usable(scores: Float[np.ndarray, "seconds steps"]) -> Int[np.ndarray, " usable"]:
    """Steps with a score at every second: those of which a word is known."""
    return np.flatnonzero(np.isfinite(scores).all(axis=0))


def _in_order(scores: Float[np.ndarray, "seconds steps"]) -> Int[np.ndarray, " seconds"]:
    """The step of each second, -1 for none; none at all where there are more steps than seconds."""
    steps = _usable(scores)
    if len(steps) > len(scores):
        return np.full(len(scores), -1)
    frames = np.asarray(ordered_alignment(-scores[:, steps]))
    marked = mark_frames(frames, num_frames=len(scores))
    return np.where(marked < 0, -1, np.append(steps, -1)[marked])


def _second_by_second(scores: Float[np.ndarray, "seconds steps"]) -> Int[np.ndarray, " seconds"]:
    steps = _usable(scores)
    if not len(steps):
        return np.full(len(scores), -1)
    best: np.ndarray = steps[best_step_of_frames(scores[:, steps])]
    return best


def _log_shares(scores: Float[np.ndarray, "seconds steps"]) -> Float[np.ndarray, "seconds steps"]:
    """Each step's share of its second, as a logarithm, among the steps that have scores."""
    shares, steps = np.full(scores.shape, np.nan), _usable(scores)
    if len(steps):
        shares[:, steps] = log_softmax(scores[:, steps], axis=1)
    return shares


def _without_evidence(
    scores: Float[np.ndarray, "seconds steps"],
) -> Float[np.ndarray, "seconds steps"]:
    """Scores that speak neither for nor against a step that has none."""
    steps = _usable(scores)
    if not len(steps):
        return scores
    filled = np.repeat(scores[:, steps].mean(axis=1, keepdims=True), scores.shape[1], axis=1)
    filled[:, steps] = scores[:, steps]
    return filled
