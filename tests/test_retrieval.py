import inspect
import math
import re

import numpy as np
import pytest
import torch

from mcn.evaluation.retrieval import chance, metrics_of_ranks, ranks, retrieval_metrics

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def slow_ranks(similarity: torch.Tensor) -> list[int]:
    """One comparison at a time, as the definition says it."""
    num_clips = len(similarity)
    scores = similarity.tolist()
    result = []
    for query, row in enumerate(scores):
        own = row[query]
        rivals = row[:query] + row[query + 1 :]
        ahead = sum(math.isnan(rival) or rival >= own for rival in rivals)
        result.append(num_clips if math.isnan(own) else ahead)
    return result


def test_ranks_by_hand() -> None:
    similarity = torch.tensor(
        [
            [0.9, 0.1, 0.2],  # own item first
            [0.8, 0.5, 0.1],  # one better
            [0.3, 0.2, 0.1],  # both better
        ]
    )
    assert ranks(similarity).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_clips", [1, 2, 63, 64, 65, 200])
def test_ranks_in_chunks_are_those_of_one_comparison_at_a_time(
    num_clips: int, dtype: torch.dtype
) -> None:
    similarity = torch.randn(num_clips, num_clips).to(dtype)
    similarity = (similarity * 4).round() / 4  # so that there are ties
    broken = torch.rand(num_clips, num_clips)
    similarity[broken < 0.05] = math.nan
    similarity[broken > 0.97] = -math.inf
    similarity[(broken > 0.95) & (broken < 0.97)] = math.inf
    assert ranks(similarity).tolist() == slow_ranks(similarity)


def test_a_rival_that_is_nan_counts_as_ahead() -> None:
    similarity = torch.eye(4)
    similarity[0, 2] = math.nan
    assert ranks(similarity).tolist() == [1, 0, 0, 0]


def test_a_query_whose_own_score_is_nan_is_worse_than_last() -> None:
    similarity = torch.eye(4)
    similarity[1, 1] = math.nan
    assert ranks(similarity).tolist() == [0, 4, 0, 0]


@pytest.mark.parametrize(
    "value, median", [(0.0, 100.0), (math.nan, 101.0)], ids=["collapsed", "diverged"]
)
def test_a_broken_model_scores_nothing(value: float, median: float) -> None:
    metrics = retrieval_metrics(torch.full((100, 100), value))
    assert metrics == {"R@1": 0.0, "R@5": 0.0, "R@10": 0.0, "MedR": median}


def test_a_perfect_model_scores_everything() -> None:
    assert retrieval_metrics(torch.eye(100)) == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0, "MedR": 1.0}


def test_without_ties_the_metrics_are_the_published_ones() -> None:
    i, j = np.mgrid[:12, :12]
    of_rows = {"R@1": 1 / 12, "R@5": 6 / 12, "R@10": 11 / 12, "MedR": 6.0}
    of_columns = {"R@1": 2 / 12, "R@5": 5 / 12, "R@10": 1.0, "MedR": 6.0}
    similarity = torch.from_numpy(np.sin(0.37 * i**2 + 0.11 * j + 0.5 * i * j))
    assert retrieval_metrics(similarity) == pytest.approx(of_rows)
    assert retrieval_metrics(similarity.T) == pytest.approx(of_columns)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (0, 3), (3, 3, 3)])
def test_items_that_are_not_one_for_each_query_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"of shape {shape} has no diagonal")):
        inspect.unwrap(ranks)(torch.zeros(shape))  # without the check of shapes that tests have


@pytest.mark.parametrize("num_queries", [1, 2, 9, 10])
def test_the_median_is_that_of_numpy(num_queries: int) -> None:
    some_ranks = torch.randint(50, (num_queries,))
    expected = np.median(some_ranks.numpy()) + 1
    assert metrics_of_ranks(some_ranks)["MedR"] == expected


def test_metrics_of_no_query_are_an_error() -> None:
    with pytest.raises(ValueError, match="no query"):
        metrics_of_ranks(torch.empty(0, dtype=torch.long))


def test_a_random_order_scores_chance() -> None:
    measured = metrics_of_ranks(torch.arange(40))  # each rank equally often
    assert measured == pytest.approx(chance(40))


def test_chance_finds_everything_among_few() -> None:
    assert chance(4) == {"R@1": 0.25, "R@5": 1.0, "R@10": 1.0, "MedR": 2.5}
