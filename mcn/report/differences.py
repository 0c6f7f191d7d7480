"""Which orders differ: every two of them on the same queries or videos, with an interval.

Seeds of one order stand together: what is compared is the mean over the seeds of each query.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mcn.evaluation.differences import (
    DifferenceVerdict,
    recall_difference,
    seed_interval,
    told_apart,
)
from mcn.evaluation.localization_statistics import mean_of_tasks_interval
from mcn.evaluation.results import RunResults
from mcn.evaluation.retrieval import RECALL_AT
from mcn.evaluation.statistics import Interval
from mcn.report.localization import RECALL, localization_benchmarks, mean_fractions
from mcn.report.orders import Order, orders_of, pairs_to_compare


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One metric of one order less that of another."""

    interval: Interval

    @property
    def text(self) -> str:
        """In percentage points, as in `+3.0 [-1.0, +7.0]`."""
        value, low, high = (
            f"{100 * number:+.1f}"
            for number in (self.interval.value, self.interval.low, self.interval.high)
        )
        return f"{value} [{low}, {high}]"

    @property
    def verdict(self) -> DifferenceVerdict:
        return told_apart(self.interval)

    @property
    def sign(self) -> int:
        """1 where the first has more, -1 where it has less, 0 where that cannot be told."""
        return (self.interval.low > 0) - (self.interval.high < 0)


@dataclass(frozen=True, kw_only=True)
class DifferenceRow:
    """Two orders on one benchmark."""

    benchmark: str
    first: str
    second: str
    cells: dict[str, Difference]
    judged_by: str
    """The metric whose verdict is the row's."""

    @property
    def verdict(self) -> DifferenceVerdict:
        return self.cells[self.judged_by].verdict


@dataclass(frozen=True, kw_only=True)
class DifferenceTable:
    """All pairs on benchmarks that have the same metrics."""

    columns: tuple[str, ...]
    rows: tuple[DifferenceRow, ...]


@dataclass(frozen=True, kw_only=True)
class DirectionsRow:
    """Two orders on one benchmark, by R@10 in every direction that the spaces of both allow."""

    benchmark: str
    first: str
    second: str
    cells: dict[str, Difference]


def retrieval_differences(runs: Sequence[RunResults], direction: str) -> DifferenceTable:
    """Every pair of orders on every retrieval benchmark, by recall; judged by R@10."""
    columns = tuple(f"R@{k}" for k in RECALL_AT)
    rows = []
    for key, title in _titles(runs).items():
        for first, second in pairs_to_compare(_compared(runs, key, direction)):
            cells = {
                f"R@{k}": query_difference(first, second, key, direction, k) for k in RECALL_AT
            }
            rows.append(_row(title, first, second, cells, columns[-1]))
    return DifferenceTable(columns=columns, rows=tuple(rows))


def direction_differences(
    runs: Sequence[RunResults], directions: Sequence[str]
) -> list[DirectionsRow]:
    """Every pair of orders on every retrieval benchmark; without pairs that share no direction."""
    rows: dict[tuple[str, str, str], dict[str, Difference]] = {}
    for key, title in _titles(runs).items():
        for direction in directions:
            for first, second in pairs_to_compare(_compared(runs, key, direction)):
                cells = rows.setdefault((title, first.label, second.label), {})
                cells[direction] = query_difference(first, second, key, direction, RECALL_AT[-1])
    return [
        DirectionsRow(benchmark=title, first=first, second=second, cells=cells)
        for (title, first, second), cells in rows.items()
    ]


def query_difference(
    first: Order[RunResults], second: Order[RunResults], benchmark: str, direction: str, k: int
) -> Difference:
    """Of recall at k, each query's being the mean over the seeds; whole videos are drawn."""
    return Difference(
        interval=recall_difference(
            _mean_hits(first, benchmark, direction, k),
            _mean_hits(second, benchmark, direction, k),
            groups=first.seeds[0].benchmarks[benchmark].video_ids,
        )
    )


def seed_difference(
    first: Order[RunResults], second: Order[RunResults], benchmark: str, direction: str, k: int
) -> Difference | None:
    """Of recall at k over the seeds that both have, each less the same seed of the other; None
    where these are fewer than two.
    """
    recalls = [_recall_by_seed(order, benchmark, direction, k) for order in (first, second)]
    common = sorted(recalls[0].keys() & recalls[1].keys())
    if len(common) < 2:
        return None
    return Difference(
        interval=seed_interval(np.array([recalls[0][s] - recalls[1][s] for s in common]))
    )


def localization_differences(runs: Sequence[RunResults], direction: str) -> DifferenceTable:
    """Every pair of orders on every benchmark of steps, by recall in order."""
    rows = []
    for key, part in localization_benchmarks(runs).items():
        orders = orders_of(
            [
                run
                for run in runs
                if key in run.localization and run.localization[key].allows(direction)
            ]
        )
        for first, second in pairs_to_compare(orders):
            of_first, present = mean_fractions(first, key, RECALL, direction)
            of_second, _ = mean_fractions(second, key, RECALL, direction)
            interval = mean_of_tasks_interval(of_first - of_second, present, part.tasks)
            cells = {RECALL: Difference(interval=interval)}
            rows.append(_row(part.title, first, second, cells, RECALL))
    return DifferenceTable(columns=(RECALL,), rows=tuple(rows))


def _titles(runs: Sequence[RunResults]) -> dict[str, str]:
    return {key: part.title for run in runs for key, part in run.benchmarks.items()}


def _compared(
    runs: Sequence[RunResults], benchmark: str, direction: str
) -> list[Order[RunResults]]:
    """Orders whose spaces allow the direction."""
    return orders_of(
        [
            run
            for run in runs
            if benchmark in run.benchmarks and direction in run.benchmarks[benchmark].queries
        ]
    )


def _mean_hits(
    order: Order[RunResults], benchmark: str, direction: str, k: int
) -> Float[np.ndarray, " queries"]:
    """Share of the seeds that find each query's item among the first k."""
    ranks = [run.benchmarks[benchmark].queries[direction].ranks for run in order.seeds]
    mean: np.ndarray = (np.array(ranks) < k).mean(axis=0)
    return mean


def _recall_by_seed(
    order: Order[RunResults], benchmark: str, direction: str, k: int
) -> dict[int, float]:
    return {
        run.seed: float((np.array(run.benchmarks[benchmark].queries[direction].ranks) < k).mean())
        for run in order.seeds
    }


def _row(
    title: str,
    first: Order[RunResults],
    second: Order[RunResults],
    cells: dict[str, Difference],
    judged_by: str,
) -> DifferenceRow:
    return DifferenceRow(
        benchmark=title, first=first.label, second=second.label, cells=cells, judged_by=judged_by
    )
