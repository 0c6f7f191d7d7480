import itertools
import math

import numpy as np
import pytest

from mcn.data.crosstask import StepSpan
from mcn.data.mining_youtube import AlignedVideo
from mcn.evaluation.step_videos import (
    IN_ORDER,
    IOD,
    IOD_STEPS,
    IOU,
    IOU_STEPS,
    SECOND_BY_SECOND,
    CrossTaskVideo,
    MiningYoutubeVideo,
)

SPANS = (StepSpan(0, 1.0, 3.0), StepSpan(2, 3.5, 5.0), StepSpan(2, 6.0, 7.0))
CROSSTASK = CrossTaskVideo(task="1", video_id="a", num_steps=3, spans=SPANS)
BACKGROUND = 2


def mining(transcript: tuple[int, ...], frame_classes: list[int]) -> MiningYoutubeVideo:
    return MiningYoutubeVideo(
        video_id="a",
        text_id="classes",
        aligned=AlignedVideo(transcript, np.array(frame_classes, np.int64)),
        background=BACKGROUND,
    )


def slow_crosstask(scores: np.ndarray) -> dict[str, int]:
    """Every orderly choice is tried; every second is looked at by itself."""
    seen = {0: {1, 2}, 2: {3, 4, 6}}
    best = max(
        itertools.combinations(range(len(scores)), 3),
        key=lambda chosen: sum(scores[second, step] for step, second in enumerate(chosen)),
    )
    in_order = sum(best[step] in seconds for step, seconds in seen.items())
    by_second = sum(
        any(max(range(3), key=lambda k: scores[second, k]) == step for second in seconds)
        for step, seconds in seen.items()
    )
    return {IN_ORDER: in_order, SECOND_BY_SECOND: by_second}


@pytest.mark.parametrize("seed", range(20))
def test_steps_of_crosstask_are_found_as_by_trying_everything(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(8, 3))
    assert CROSSTASK.measure(scores) == slow_crosstask(scores)
    assert CROSSTASK.num_present(8) == 2


def test_a_step_of_unknown_words_is_not_found_and_harms_no_other() -> None:
    scores = np.zeros((8, 3))
    scores[2, 0] = scores[6, 2] = 1.0
    assert CROSSTASK.measure(scores)[IN_ORDER] == 2
    scores[:, 0] = math.nan
    assert CROSSTASK.measure(scores)[IN_ORDER] == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_model_finds_nothing(value: float) -> None:
    scores = np.full((8, 4), value)
    assert CROSSTASK.measure(scores[:, :3]) == {IN_ORDER: 0, SECOND_BY_SECOND: 0}
    measured = mining((2, 0, 2), [2, 2, 0, 0, 2, 2, 2, 2]).measure(scores)
    assert set(measured.values()) == {0.0}


def test_a_video_shorter_than_its_steps_has_none_of_them() -> None:
    assert CROSSTASK.measure(np.ones((2, 3)))[IN_ORDER] == 0
    assert CROSSTASK.by_chance(2)[IN_ORDER] == 0


def test_mining_youtube_by_hand() -> None:
    # Six seconds, two frames each: background, step 0 for two seconds, background, step 1, again
    frames = [2, 2, 0, 0, 0, 0, 2, 2, 1, 1, 2, 2]
    video = mining((2, 0, 2, 1, 2), frames)
    scores = np.full((6, 4), -9.0)
    for at, line in enumerate([2, 0, 2, 2, 1, 2]):  # the third second is got wrong
        scores[at, line] = 9.0
    measured = video.measure(scores)
    assert measured[IN_ORDER] == 2
    background, first, second = 6 / 8, 2 / 4, 1.0
    assert measured[IOU] == pytest.approx((background + first + second) / 3)
    assert measured[IOD] == pytest.approx((6 / 8 + 1 + 1) / 3)
    assert measured[IOU_STEPS] == pytest.approx((first + second) / 2)
    assert measured[IOD_STEPS] == pytest.approx(1)
    assert video.num_present(6) == 2


def test_the_transcript_cut_evenly_is_what_chance_reaches() -> None:
    video = mining((2, 0, 2), [2, 2, 0, 0, 2, 2])
    assert video.by_chance(6)[IOU] == 1.0
    assert mining((2, 0, 2), [2, 2, 2, 2, 2, 0]).by_chance(6)[IOU_STEPS] == 0.0


def test_of_background_alone_no_step_is_measured() -> None:
    measured = mining((2,), [2, 2, 2]).measure(np.zeros((3, 4)))
    assert measured == {IN_ORDER: 0, IOU: 1.0, IOD: 1.0, IOU_STEPS: None, IOD_STEPS: None}


@pytest.mark.parametrize("num_frames", [5, 50, 147])
def test_frames_are_spread_over_the_seconds_whatever_their_rate(num_frames: int) -> None:
    classes = [0 if 2 <= 5 * k // num_frames < 4 else 2 for k in range(num_frames)]
    scores = np.zeros((5, 4))
    scores[2:4, 0] = 1.0
    scores[[0, 1, 4], 2] = 1.0
    assert mining((2, 0, 2), classes).measure(scores)[IOU] == 1.0
