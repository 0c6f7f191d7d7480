import numpy as np
import pytest
import scipy.stats

from mcn.evaluation.retrieval import RECALL_AT, chance
from mcn.evaluation.statistics import (
    Interval,
    against_chance,
    draw_groups,
    median_rank_interval,
    number_groups,
    quantiles_of,
    recall_interval,
)


def first(num_hits: int, num_queries: int) -> np.ndarray:
    """Hits of `num_queries` queries, the first `num_hits` of which hit."""
    return np.arange(num_queries) < num_hits


def ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


@pytest.mark.parametrize("num_hits", [10, 20, 50, 90])
def test_recall_interval_is_that_of_scipys_bootstrap(num_hits: int) -> None:
    hits = first(num_hits, 100)
    truth = scipy.stats.bootstrap(
        (hits,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    interval = recall_interval(hits)
    assert interval.value == num_hits / 100
    assert ends(interval) == pytest.approx([truth.low, truth.high], abs=0.011)


def test_median_rank_interval_is_that_of_scipys_bootstrap() -> None:
    ranks = np.random.default_rng(0).geometric(0.05, size=101)
    truth = scipy.stats.bootstrap(
        (ranks + 1,), np.median, method="percentile", n_resamples=2000, rng=np.random.default_rng(1)
    ).confidence_interval
    interval = median_rank_interval(ranks)
    assert interval.value == np.median(ranks) + 1
    assert ends(interval) == pytest.approx([truth.low, truth.high], abs=1.01)


def test_median_rank_interval_of_grouped_queries_is_that_of_drawing_whole_groups() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, size=30)
    videos = np.repeat(np.arange(30), sizes)
    ranks = rng.integers(0, 20, size=30)[videos] + rng.integers(0, 5, size=len(videos))
    of_video = [ranks[videos == video] for video in range(30)]
    medians = [
        np.median(np.concatenate([of_video[video] for video in rng.integers(30, size=30)]))
        for _ in range(4000)
    ]
    interval = median_rank_interval(ranks, groups=[str(video) for video in videos])
    assert interval.value == np.median(ranks) + 1
    assert ends(interval) == pytest.approx(np.quantile(medians, [0.025, 0.975]) + 1, abs=0.51)


@pytest.mark.parametrize("num_queries", [1, 2, 127, 128, 129, 700])
def test_median_ranks_of_resamples_are_those_of_the_drawn_queries_side_by_side(
    num_queries: int,
) -> None:
    rng = np.random.default_rng(num_queries)
    ranks = rng.geometric(0.02, size=num_queries) - 1
    videos = rng.integers(max(1, num_queries // 3), size=num_queries)
    interval = median_rank_interval(ranks, groups=[f"{v:03}" for v in videos], resamples=99)
    group_of_query = number_groups(num_queries, [f"{v:03}" for v in videos])
    medians = [
        np.median(np.repeat(ranks, drawn[group_of_query])) + 1
        for counts in draw_groups(int(group_of_query.max()) + 1, 99, np.random.default_rng(0))
        for drawn in counts
    ]
    assert (interval.low, interval.high) == quantiles_of(np.array(medians))


@pytest.mark.parametrize("num_hits", [0, 1, 9, 91, 100])
def test_recall_interval_of_few_hits_or_misses_is_wilsons(num_hits: int) -> None:
    truth = scipy.stats.binomtest(num_hits, 100).proportion_ci(method="wilson")
    assert ends(recall_interval(first(num_hits, 100))) == pytest.approx([truth.low, truth.high])


def test_intervals_are_decided_by_the_seed() -> None:
    hits, ranks = first(30, 100), np.arange(100) ** 2
    assert recall_interval(hits) == recall_interval(hits)
    assert median_rank_interval(ranks, seed=1) == median_rank_interval(ranks, seed=1)
    assert median_rank_interval(ranks, seed=1) != median_rank_interval(ranks, seed=2)


def test_clips_that_resemble_each_other_make_the_interval_wider() -> None:
    hits = first(40, 100)
    videos = [f"video{query // 5}" for query in range(100)]  # each all hits or all misses
    alone, together = recall_interval(hits), recall_interval(hits, groups=videos)
    assert alone.value == together.value
    widening = (together.high - together.low) / (alone.high - alone.low)
    assert widening == pytest.approx(5**0.5, rel=0.1)  # twenty videos are worth twenty queries


def test_clips_alone_in_their_video_have_the_interval_of_ungrouped_ones() -> None:
    hits = first(40, 100)
    assert recall_interval(hits, groups=[f"{i:03}" for i in range(100)]) == recall_interval(hits)


def test_a_few_hits_in_one_video_are_no_proof() -> None:
    hits = first(4, 100)  # chance of R@1 is 1 %
    assert against_chance(recall_interval(hits), 0.01) == "above chance"
    videos = [f"video{query // 5}" for query in range(100)]
    assert against_chance(recall_interval(hits, groups=videos), 0.01) == "not told from chance"


def test_with_too_few_videos_to_draw_from_clips_are_drawn() -> None:
    hits, ranks = first(40, 100), np.arange(100)
    videos = [str(query % 4) for query in range(100)]
    assert recall_interval(hits, groups=videos) == recall_interval(hits)
    assert median_rank_interval(ranks, groups=videos) == median_rank_interval(ranks)


@pytest.mark.parametrize(
    "row, percent",
    [("AV_T", (0.18, 0.92, 1.63)), ("AT_V", (0.14, 0.61, 1.35)), ("VT_A", (0.14, 0.53, 1.14))],
)
def test_the_msrvtt_column_of_the_users_table_is_not_told_from_chance(
    row: str, percent: tuple[float, float, float]
) -> None:
    for k, value in zip(RECALL_AT, percent, strict=True):
        interval = recall_interval(first(round(10 * value), 1000))
        assert against_chance(interval, chance(1000)[f"R@{k}"]) == "not told from chance", (row, k)


def test_the_youcook2_column_of_the_users_table_is_above_chance() -> None:
    interval = recall_interval(first(round(0.0713 * 3350), 3350))
    assert against_chance(interval, chance(3350)["R@10"]) == "above chance"


def test_a_result_below_chance_is_called_so() -> None:
    assert against_chance(recall_interval(first(0, 1000)), 0.01) == "below chance"


def test_intervals_print_as_tables_show_them() -> None:
    assert Interval(0.12, 0.08, 0.17).as_percent() == "12.0 [8.0, 17.0]"
    assert Interval(0.0018, 0.0002, 0.0056).as_percent(2) == "0.18 [0.02, 0.56]"
    assert Interval(12.5, 9.0, 17.0).as_rank() == "12.5 [9.0, 17.0]"


def test_groups_that_do_not_match_the_queries_are_an_error() -> None:
    with pytest.raises(ValueError, match="3 groups for 4 queries"):
        recall_interval(first(1, 4), groups=["a", "b", "c"])


def test_an_interval_of_no_query_is_an_error() -> None:
    with pytest.raises(ValueError, match="no query"):
        median_rank_interval(np.empty(0, dtype=np.int64))


@pytest.mark.parametrize("share", [0, 1])
def test_where_all_queries_hit_or_none_videos_count_and_seeds_do_not(share: int) -> None:
    clips = [f"clip{clip}" for clip in range(60)]
    videos = [f"video{clip // 3}" for clip in range(60)]
    three_seeds = recall_interval(np.full(180, share == 1), groups=videos * 3, queries=clips * 3)
    assert three_seeds == recall_interval(np.full(20, share == 1))


def test_with_too_few_videos_a_clip_of_several_seeds_is_one() -> None:
    hits = np.arange(40) % 2 == 0
    clips, videos = [f"clip{clip}" for clip in range(40)], ["a", "b"] * 20
    once = recall_interval(hits, groups=videos)
    thrice = recall_interval(np.tile(hits, 3), groups=videos * 3, queries=clips * 3)
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, abs=0.03)
