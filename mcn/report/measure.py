"""Fills the table of results from the ranks of the runs.

Seeds of one order make one row: its values are those of all their ranks together. Intervals
resample whole videos, with all clips and all seeds of each, since these resemble each other.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mcn.evaluation.results import BenchmarkResults, RunResults
from mcn.evaluation.retrieval import METRICS, RECALL_AT, metrics_of_ranks
from mcn.evaluation.statistics import Interval, median_rank_interval, recall_interval
from mcn.objectives import learns_of_text
from mcn.report.orders import Order, orders_of
from mcn.report.table import Benchmark, Cell, ResultsTable, Row


def build_table(runs: Sequence[RunResults], directions: Sequence[str]) -> ResultsTable:
    """One row for each order and direction, as `place` sorts them.

    Raises:
        ValueError: Two runs were evaluated on different clips of one benchmark.
    """
    benchmarks = _benchmarks(runs)
    rows = [
        Row(
            model=order.model,
            stage=order.stage,
            control=order.control,
            direction=direction,
            num_seeds=len(order.seeds),
            cells={head.key: _cells(order.seeds, head, direction) for head in benchmarks},
            is_comparable=_allows(order, direction),
        )
        for order in orders_of(runs)
        for direction in directions
    ]
    return ResultsTable(benchmarks=benchmarks, rows=tuple(rows))


def _allows(order: Order[RunResults], direction: str) -> bool:
    """Whether it was compared so, or, where nothing was compared, might be."""
    parts = [part for run in order.seeds for part in run.benchmarks.values()]
    if not parts:
        return learns_of_text(order.model)
    return any(direction in part.queries for part in parts)


def _benchmarks(runs: Sequence[RunResults]) -> tuple[Benchmark, ...]:
    """Heads of the columns, in the order in which the first runs name them."""
    first: dict[str, tuple[RunResults, BenchmarkResults]] = {}
    for run in runs:
        for key, part in run.benchmarks.items():
            other_run, other = first.setdefault(key, (run, part))
            if other.video_ids != part.video_ids:
                raise ValueError(
                    f"{other_run.run} and {run.run} were evaluated on different clips of {key}: "
                    "evaluate both again"
                )
    return tuple(
        Benchmark(
            key=key,
            title=part.title,
            num_queries=part.num_queries,
            num_videos=len(set(part.video_ids)),
        )
        for key, (_, part) in first.items()
    )


def _cells(seeds: Sequence[RunResults], head: Benchmark, direction: str) -> dict[str, Cell]:
    parts = [run.benchmarks[head.key] for run in seeds if head.key in run.benchmarks]
    ranks_of_seeds = [
        np.array(part.queries[direction].ranks) for part in parts if direction in part.queries
    ]
    if not ranks_of_seeds:
        return {}
    ranks = np.concatenate(ranks_of_seeds)
    videos = parts[0].video_ids * len(ranks_of_seeds)
    queries = [str(query) for query in range(len(ranks_of_seeds[0]))] * len(ranks_of_seeds)
    intervals: dict[str, Interval] = {
        f"R@{k}": recall_interval(ranks < k, groups=videos, queries=queries) for k in RECALL_AT
    }
    intervals["MedR"] = median_rank_interval(ranks, groups=videos, queries=queries)
    by_seed = [metrics_of_ranks(torch.from_numpy(part)) for part in ranks_of_seeds]
    return {
        metric: Cell(
            metric=metric,
            interval=intervals[metric],
            num_queries=head.num_queries,
            seed_range=_range([values[metric] for values in by_seed]),
        )
        for metric in METRICS
    }


def _range(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if len(values) > 1 else None
