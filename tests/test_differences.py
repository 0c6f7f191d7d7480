import numpy as np
import pytest

from mcn.evaluation.differences import recall_difference, told_apart


def first(num_hits: int, num_queries: int) -> np.ndarray:
    return np.arange(num_queries) < num_hits


def test_the_interval_is_that_of_drawing_whole_videos_of_both_models_together() -> None:
    rng = np.random.default_rng(0)
    videos = np.repeat(np.arange(40), rng.integers(1, 9, size=40))
    easiness = rng.random(40)[videos]
    one = rng.random(len(videos)) < easiness
    other = rng.random(len(videos)) < 0.8 * easiness
    drawn = []
    for _ in range(4000):
        queries = np.concatenate([np.flatnonzero(videos == v) for v in rng.integers(40, size=40)])
        drawn.append(one[queries].mean() - other[queries].mean())
    interval = recall_difference(one, other, groups=[str(video) for video in videos])
    assert interval.value == pytest.approx(one.mean() - other.mean())
    truth = np.quantile(drawn, [0.025, 0.975])
    assert [interval.low, interval.high] == pytest.approx(truth, abs=0.01)


def test_pairs_are_told_apart_whose_own_intervals_overlap() -> None:
    one, other = first(450, 1000), first(420, 1000)  # all that the other finds, and 30 more
    paired = recall_difference(one, other)
    assert told_apart(paired) == "told apart"
    unpaired = recall_difference(one, other[::-1])
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 3
    assert told_apart(unpaired) == "not told apart"


def test_equal_models_are_not_told_apart() -> None:
    same = recall_difference(first(30, 100), first(30, 100))
    assert (same.value, told_apart(same)) == (0.0, "not told apart")
    assert same.low < 0 < same.high


@pytest.mark.parametrize("num, verdict", [(4, "not told apart"), (8, "told apart")])
def test_a_few_queries_for_one_model_are_judged_like_coins(num: int, verdict: str) -> None:
    assert told_apart(recall_difference(first(20 + num, 100), first(20, 100))) == verdict
    assert told_apart(recall_difference(first(20, 100), first(20 + num, 100))) == verdict


def test_queries_of_one_video_are_one_witness() -> None:
    one, other = first(28, 100), first(20, 100)
    assert told_apart(recall_difference(one, other)) == "told apart"
    videos = [f"video{query // 10}" for query in range(100)]  # the eight are of one video
    assert told_apart(recall_difference(one, other, groups=videos)) == "not told apart"


def test_the_difference_turns_its_sign_with_the_models() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.random(200) < 0.5, rng.random(200) < 0.3
    there, back = recall_difference(one, other), recall_difference(other, one)
    assert back.value == -there.value
    assert [back.low, back.high] == pytest.approx([-there.high, -there.low], abs=0.01)


def test_models_asked_different_queries_are_an_error() -> None:
    with pytest.raises(ValueError, match="100 queries of one model and 90 of the other"):
        recall_difference(first(3, 100), first(3, 90))


@pytest.mark.slow
def test_models_of_equal_skill_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(2)
    videos = [f"video{query // 4}" for query in range(400)]
    wrong = 0
    for _ in range(400):
        easiness = rng.beta(0.5, 4.0, size=100).repeat(4)
        luck = rng.normal(size=(2, 100)).repeat(4, axis=1)  # a video suits a model, or does not
        odds = easiness / (1 - easiness) * np.exp(luck)
        one, other = rng.random((2, 400)) < odds / (1 + odds)
        wrong += told_apart(recall_difference(one, other, groups=videos, resamples=500)) == (
            "told apart"
        )
    assert wrong / 400 < 0.08  # 5 % is what the interval promises
