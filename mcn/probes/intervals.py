"""95 % intervals of accuracies that are means over splits, and of their differences.

Videos cut from one film or recording resemble each other, so whole groups are drawn, the same for
all splits: a group may be tested in several of them. Where hits or misses are too rare for a
bootstrap, the intervals are those of all tested videos together.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mcn.evaluation.differences import FEWEST_GROUPS_THAT_DIFFER, recall_difference
from mcn.evaluation.statistics import (
    FEWEST_GROUPS_WITH_EACH,
    RESAMPLES,
    Interval,
    bootstrap_interval,
    number_groups,
    recall_interval,
)

Hits = Sequence[Float[np.ndarray, "..."]]
"""Of each split: by test video, whether it is right, or the share of a model's seeds that are."""

Groups = Sequence[Sequence[str]]
"""Of each split: what each test video was cut from."""


def accuracy_interval(
    hits_of_seeds: Sequence[Hits],
    groups: Groups,
    videos: Groups,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean over splits of the share that is right, the mean over seeds of it.

    Args:
        hits_of_seeds: Of each seed the hits of all splits.
        groups: Of the test videos of all splits.
        videos: Names of these: one is drawn for all splits too where groups are too few to draw.
        resamples: How often groups are drawn.
        seed: Decides the draws.
    """
    mean = [np.mean(of_split, axis=0) for of_split in zip(*hits_of_seeds, strict=True)]
    sums = _Sums(mean, groups, videos)
    hits, misses = sums.with_any()
    if min(hits, misses) < FEWEST_GROUPS_WITH_EACH:
        pooled = np.concatenate([of_split for hits in hits_of_seeds for of_split in hits])
        known = recall_interval(
            pooled.astype(bool),
            groups=_all_splits(groups) * len(hits_of_seeds),
            queries=_all_splits(videos) * len(hits_of_seeds),
            resamples=resamples,
            seed=seed,
        )
        return Interval(sums.value, min(known.low, sums.value), max(known.high, sums.value))
    return sums.interval(resamples, seed)


def accuracy_difference(
    first: Hits,
    second: Hits,
    groups: Groups,
    videos: Groups,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """What the first is right in more than the second, on the same videos; paired."""
    more = [one - other for one, other in zip(first, second, strict=True)]
    sums = _Sums(more, groups, videos)
    if np.count_nonzero(np.sum(sums.gained, axis=0)) < FEWEST_GROUPS_THAT_DIFFER:
        pooled = recall_difference(
            np.concatenate(list(first)),
            np.concatenate(list(second)),
            groups=_all_splits(groups),
            queries=_all_splits(videos),
        )
        return Interval(sums.value, min(pooled.low, sums.value), max(pooled.high, sums.value))
    return sums.interval(resamples, seed)


def _all_splits(names: Groups) -> list[str]:
    return [name for of_split in names for name in of_split]


class _Sums:
    """Sums over each group's videos in each split."""

    def __init__(self, values: Hits, groups: Groups, videos: Groups) -> None:
        names = _all_splits(groups)
        numbers = number_groups(len(names), names, _all_splits(videos))
        ends = np.cumsum([len(of_split) for of_split in groups])[:-1]
        num_groups = int(numbers.max()) + 1
        parts = list(zip(values, np.split(numbers, ends), strict=True))
        self.gained = [np.bincount(of, weights=v, minlength=num_groups) for v, of in parts]
        self.sizes = [np.bincount(of, minlength=num_groups) for _, of in parts]
        self.value = float(np.mean([v.mean() for v in values]))

    def with_any(self) -> tuple[int, int]:
        """Groups with a hit in some split, and with a miss."""
        gained, sizes = np.sum(self.gained, axis=0), np.sum(self.sizes, axis=0)
        return int(np.count_nonzero(gained)), int(np.count_nonzero(gained < sizes))

    def interval(self, resamples: int, seed: int) -> Interval:
        return bootstrap_interval(self.value, self._means, len(self.sizes[0]), resamples, seed)

    def _means(
        self, counts: Int[np.ndarray, "resamples groups"]
    ) -> Float[np.ndarray, " resamples"]:
        """Over splits; one of which nothing was drawn counts as it is on the whole."""
        means = []
        for gained, sizes in zip(self.gained, self.sizes, strict=True):
            drawn = counts @ sizes
            whole = gained.sum() / sizes.sum()
            means.append(np.where(drawn, (counts @ gained) / np.maximum(drawn, 1), whole))
        mean: np.ndarray = np.mean(means, axis=0)
        return mean
