"""95 % intervals of retrieval metrics, and whether a result can be told from chance.

Intervals come from the bootstrap (Efron, 1979): queries are drawn again and again with
replacement, and the middle 95 % of what the metric then becomes is the interval. Clips of one
video resemble each other, so where `groups` names the video of each query, whole videos are
drawn, and the interval is as wide as that resemblance makes it. Queries are the only source of
chance considered here: how much another training seed would change a result is not covered.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

CONFIDENCE = 0.95

FEWEST_GROUPS_WITH_EACH = 10
"""Groups with a hit, and groups with a miss, from which on a bootstrap of recall means something.
With 10 its interval passes smoothly into Wilson's; with 5 it said less than Wilson's with 4."""

FEWEST_GROUPS = 5
"""Groups from which on it means something to draw groups and not single queries."""

RESAMPLES = 10_000
RESAMPLES_PER_CHUNK = 250
VALUES_PER_BLOCK = 128

Verdict = Literal["above chance", "not told from chance", "below chance"]


@dataclass(frozen=True)
class Interval:
    """A measured value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def as_percent(self, decimals: int = 1) -> str:
        """A share in percent, as in `12.0 [8.0, 17.0]`."""
        return self._text(100, decimals)

    def as_rank(self) -> str:
        """A rank, as in `12.5 [9.0, 17.0]`."""
        return self._text(1, 1)

    def _text(self, scale: int, decimals: int) -> str:
        value, low, high = (
            f"{scale * number:.{decimals}f}" for number in (self.value, self.low, self.high)
        )
        return f"{value} [{low}, {high}]"


def recall_interval(
    hits: Bool[np.ndarray, " queries"],
    *,
    groups: Sequence[str] | None = None,
    queries: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Share of queries that hit, with its interval: bootstrap, or Wilson where that degenerates.

    It degenerates where fewer than 10 groups have a hit, or fewer than 10 a miss: with no hit at
    all, for one, every resample has none and the interval would have no width. Wilson's interval
    is then that of as many independent queries as the grouped ones are worth; where all hit, or
    none, nothing tells how alike those of a group are, and each group counts as one.

    Args:
        hits: Whether each query found its item.
        groups: Name of each query's group, its video; by default each query is its own group.
        queries: Name of each query, where several training seeds were asked the same ones, which
            then count once; by default all differ.
        resamples: How often the groups are drawn.
        seed: Decides the draws.
    """
    group_of_query = number_groups(len(hits), groups, queries)
    sizes = np.bincount(group_of_query)
    num_hits = np.bincount(group_of_query, weights=hits)
    share = float(hits.mean())
    rarer = min(np.count_nonzero(num_hits), np.count_nonzero(num_hits < sizes))
    if rarer < FEWEST_GROUPS_WITH_EACH:
        num_distinct = len(hits) if queries is None else len(set(queries))
        return _wilson_interval(share, min(num_distinct, _worth_in_queries(num_hits, sizes)))
    return bootstrap_interval(
        share, lambda counts: (counts @ num_hits) / (counts @ sizes), len(sizes), resamples, seed
    )


def median_rank_interval(
    ranks: Int[np.ndarray, " queries"],
    *,
    groups: Sequence[str] | None = None,
    queries: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Median rank counted from 1, with its bootstrap interval, of ranks counted from 0.

    Args:
        ranks: How many wrong items came before each query's own.
        groups: Name of each query's group, its video; by default each query is its own group.
        queries: Name of each query, where several training seeds were asked the same ones, which
            then count once; by default all differ.
        resamples: How often the groups are drawn.
        seed: Decides the draws.
    """
    group_of_query = number_groups(len(ranks), groups, queries)
    order = np.argsort(ranks, kind="stable")
    ascending, group_of_ascending = ranks[order] + 1.0, group_of_query[order]

    value = float(np.median(ascending))
    return bootstrap_interval(
        value,
        _drawn_median(ascending, group_of_ascending),
        int(group_of_query.max()) + 1,
        resamples,
        seed,
    )


def against_chance(interval: Interval, chance: float) -> Verdict:
    """Whether chance lies outside the interval, and on which side the result then is."""
    if interval.low > chance:
        return "above chance"
    if interval.high < chance:
        return "below chance"
    return "not told from chance"


def number_groups(
    num_queries: int, groups: Sequence[str] | None, queries: Sequence[str] | None = None
) -> Int[np.ndarray, " queries"]:
    """Number of each query's group; each query its own where there are too few to draw from.

    Queries of one name are then one, as those of several seeds are.
    """
    if num_queries == 0:
        raise ValueError("no query, and so no interval: the benchmark has no clip")
    alone = np.arange(num_queries)
    if queries is not None:
        alone = np.unique(np.asarray(queries), return_inverse=True)[1]
    if groups is None:
        return alone
    if len(groups) != num_queries:
        raise ValueError(f"{len(groups)} groups for {num_queries} queries: name one a query")
    names, numbers = np.unique(np.asarray(groups), return_inverse=True)
    return alone if len(names) < FEWEST_GROUPS else numbers


def bootstrap_interval(
    value: float,
    statistic: Callable[[Int[np.ndarray, "resamples groups"]], Float[np.ndarray, " resamples"]],
    num_groups: int,
    resamples: int,
    seed: int,
) -> Interval:
    """Percentile interval of a statistic of how often each group was drawn."""
    chunks = draw_groups(num_groups, resamples, np.random.default_rng(seed))
    return Interval(value, *quantiles_of(np.concatenate([statistic(counts) for counts in chunks])))


def quantiles_of(outcomes: Float[np.ndarray, " resamples"]) -> tuple[float, float]:
    """The ends of the middle 95 % of what resamples gave."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(outcomes, [tail, 1 - tail])
    return float(low), float(high)


def draw_groups(
    num_groups: int, resamples: int, rng: np.random.Generator
) -> Iterator[Int[np.ndarray, "resamples groups"]]:
    """How often each group is drawn in each resample, a few resamples at a time."""
    for first in range(0, resamples, RESAMPLES_PER_CHUNK):
        rows = min(RESAMPLES_PER_CHUNK, resamples - first)
        drawn = rng.integers(num_groups, size=(rows, num_groups), dtype=np.int32)
        cells = drawn + num_groups * np.arange(rows, dtype=np.int32)[:, None]
        yield np.bincount(cells.ravel(), minlength=rows * num_groups).reshape(rows, num_groups)


def _drawn_median(
    ascending: Float[np.ndarray, " queries"], groups: Int[np.ndarray, " queries"]
) -> Callable[[Int[np.ndarray, "resamples groups"]], Float[np.ndarray, " resamples"]]:
    """The median of what was drawn, as a function of how often each query's group was.

    Blocks of neighbouring values are counted by one matrix product, and only the block that holds
    the middle is looked at value by value.
    """
    num_groups = int(groups.max()) + 1
    padding = np.full(-len(groups) % VALUES_PER_BLOCK, num_groups)  # of a group never drawn
    blocks = np.append(groups, padding).reshape(-1, VALUES_PER_BLOCK)
    sizes = [np.bincount(block, minlength=num_groups + 1)[:-1] for block in blocks]
    group_in_block = np.stack(sizes, axis=1).astype(np.float64)

    def median(counts: Int[np.ndarray, "resamples groups"]) -> Float[np.ndarray, " resamples"]:
        up_to_block = (counts @ group_in_block).cumsum(axis=1)
        padded = np.pad(counts, ((0, 0), (0, 1)))
        resample = np.arange(len(counts))

        def at(place: Float[np.ndarray, " resamples"]) -> Float[np.ndarray, " resamples"]:
            block = (up_to_block <= place[:, None]).sum(axis=1)
            before = np.where(block > 0, up_to_block[resample, block - 1], 0)
            up_to = padded[resample[:, None], blocks[block]].cumsum(axis=1) + before[:, None]
            found: np.ndarray = ascending[
                block * VALUES_PER_BLOCK + (up_to <= place[:, None]).sum(axis=1)
            ]
            return found

        total = up_to_block[:, -1]
        middle: np.ndarray = (at((total - 1) // 2) + at(total // 2)) / 2
        return middle

    return median


def _worth_in_queries(
    num_hits: Float[np.ndarray, " groups"], sizes: Int[np.ndarray, " groups"]
) -> float:
    """Independent queries that would tell the share of hits as exactly as these groups do.

    The number of queries over the design effect (Kish, 1965): the variance of the share between
    groups, over what it would be if all queries were independent.
    """
    num_queries = float(sizes.sum())
    share = num_hits.sum() / num_queries
    if share in (0, 1):
        return len(sizes)
    between = ((num_hits - share * sizes) ** 2).sum() / num_queries**2
    design_effect = between / (share * (1 - share) / num_queries)
    return num_queries / max(1.0, float(design_effect))


def _wilson_interval(share: float, num_queries: float) -> Interval:
    """Score interval of a share (Wilson, 1927); the number of queries need not be whole."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    shrinkage = 1 / (1 + z**2 / num_queries)
    centre = shrinkage * (share + z**2 / (2 * num_queries))
    spread = share * (1 - share) / num_queries + z**2 / (4 * num_queries**2)
    half_width = shrinkage * z * spread**0.5
    return Interval(share, max(0.0, centre - half_width), min(1.0, centre + half_width))
