"""How much more one model finds than another on the same queries, with a 95 % interval.

Both models are asked the same queries, and easy ones are easy for both: their difference is known
better than either result, so intervals that overlap do not tell whether two results differ. Whole
videos are drawn, as in `statistics`, and the difference is taken within each draw.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.special import stdtrit

from mcn.evaluation.statistics import (
    CONFIDENCE,
    RESAMPLES,
    Interval,
    bootstrap_interval,
    number_groups,
)

FEWEST_GROUPS_THAT_DIFFER = 10
"""Groups in which one model finds more than the other, from which on a bootstrap means something.
With four that all speak for one model it would exclude no difference, though one in eight coins
falls so."""

DifferenceVerdict = Literal["told apart", "not told apart"]


def recall_difference(
    first: Shaped[np.ndarray, " queries"],
    second: Shaped[np.ndarray, " queries_of_second"],
    *,
    groups: Sequence[str] | None = None,
    queries: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """What the first model finds less what the second finds, as a share of queries.

    By paired bootstrap; where fewer than 10 groups differ, by Agresti and Min's interval
    (Statistics in Medicine, 2005) for as many queries as the grouped ones are worth.

    Args:
        first: Whether each query found its item, or the share of a model's seeds that did.
        second: The same of the other model.
        groups: Name of each query's group, its video; by default each query is its own group.
        queries: Name of each query, where the same one stands there several times; by default all
            differ.
        resamples: How often the groups are drawn.
        seed: Decides the draws.

    Raises:
        ValueError: The models were asked different numbers of queries, or none.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} queries of one model and {len(second)} of the other")
    group_of_query = number_groups(len(first), groups, queries)
    more = first.astype(np.float64) - second
    gained = np.bincount(group_of_query, weights=more)
    sizes = np.bincount(group_of_query)
    value = float(more.mean())
    if np.count_nonzero(gained) < FEWEST_GROUPS_THAT_DIFFER:
        times_each = len(more) / len(set(queries)) if queries is not None else 1.0
        effect = max(times_each, _design_effect(more, gained, sizes))
        return _agresti_min_interval(more, effect)
    return bootstrap_interval(
        value, lambda counts: (counts @ gained) / (counts @ sizes), len(sizes), resamples, seed
    )


def seed_interval(of_seeds: Float[np.ndarray, " seeds"]) -> Interval:
    """Mean over training seeds, with Student's interval for that of all seeds.

    Args:
        of_seeds: What each seed gave; of two models, the difference within each seed.

    Raises:
        ValueError: One seed tells nothing of others.
    """
    num_seeds = len(of_seeds)
    if num_seeds < 2:
        raise ValueError(f"{num_seeds} seed tells nothing of other seeds: give at least 2")
    quantile = stdtrit(num_seeds - 1, (1 + CONFIDENCE) / 2)
    half_width = float(quantile * of_seeds.std(ddof=1) / num_seeds**0.5)
    value = float(of_seeds.mean())
    return Interval(value, value - half_width, value + half_width)


def told_apart(difference: Interval) -> DifferenceVerdict:
    """Whether no difference lies outside the interval."""
    return "told apart" if difference.low > 0 or difference.high < 0 else "not told apart"


def _design_effect(
    more: Float[np.ndarray, " queries"],
    gained: Float[np.ndarray, " groups"],
    sizes: Int[np.ndarray, " groups"],
) -> float:
    """Variance of the mean between groups over that of independent queries (Kish, 1965).

    Where the models differ in no query, or in all alike, each group counts as one query.
    """
    spread = float(((more - more.mean()) ** 2).sum())
    between = float(((gained - more.mean() * sizes) ** 2).sum())
    return max(1.0, between / spread) if spread else len(more) / len(sizes)


def _agresti_min_interval(
    more: Float[np.ndarray, " queries"], queries_per_independent: float
) -> Interval:
    """Half a query is added to each of the four ways in which two models can find or miss."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    num_queries = len(more) / queries_per_independent + 2
    gains = more[more > 0].sum() / queries_per_independent + 0.5
    losses = -more[more < 0].sum() / queries_per_independent + 0.5
    centre = (gains - losses) / num_queries
    half_width = z * (gains + losses - (gains - losses) ** 2 / num_queries) ** 0.5 / num_queries
    return Interval(float(more.mean()), float(centre - half_width), float(centre + half_width))
