"""Tables of probes: orders of training by what was classified and how, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mcn.evaluation.differences import seed_interval
from mcn.evaluation.statistics import Interval, against_chance
from mcn.probes.chance import TOP
from mcn.probes.intervals import accuracy_difference, accuracy_interval
from mcn.probes.results import BenchmarkProbes, Part, ProbeResults
from mcn.probes.settings import Way
from mcn.report.differences import Difference, DifferenceRow, DifferenceTable
from mcn.report.orders import Order, pairs_to_compare
from mcn.report.probe_orders import (
    HOW,
    LOOKED_AT,
    WITHOUT_MODEL,
    LikeOrders,
    kinds,
    like_orders,
)
from mcn.report.probe_remarks import missing_remarks, unlike_remarks
from mcn.report.share_cell import ShareCell

COLUMNS = tuple(f"top-{top}" for top in TOP)

OVER_SEEDS = f"{COLUMNS[0]} over seeds"


@dataclass(frozen=True, kw_only=True)
class ProbeRow:
    """One order or control, classified in one way by what one input gives."""

    label: str
    looks_at: str
    how: str
    is_control: bool
    num_seeds: int
    cells: dict[str, ShareCell]
    """By column."""
    over_seeds: dict[str, Interval]
    """By column: Student's interval of the mean over training seeds; empty for a single seed."""


@dataclass(frozen=True, kw_only=True)
class ProbeTable:
    """One benchmark, the mean over its splits."""

    title: str
    num_classes: int
    num_splits: int
    num_videos: int
    """That are tested in some split."""
    num_groups: int
    columns: tuple[str, ...]
    rows: tuple[ProbeRow, ...]
    chance: dict[str, str]
    remarks: tuple[str, ...]
    """What counts as wrong since nothing was there to classify, and what was left out."""


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """All that a report says of probes."""

    tables: tuple[ProbeTable, ...]
    differences: DifferenceTable


def probe_report(probed: Sequence[ProbeResults]) -> ProbeReport:
    """Tables and differences, whose intervals take their time.

    Raises:
        ValueError: Two runs were tested on different videos of one benchmark.
    """
    return ProbeReport(tables=probe_tables(probed), differences=probe_differences(probed))


def probe_tables(probed: Sequence[ProbeResults]) -> tuple[ProbeTable, ...]:
    """A table for each benchmark on which some way is done on all splits.

    Raises:
        ValueError: Two runs were tested on different videos of one benchmark.
    """
    tables = [_table(key, part, probed) for key, part in _benchmarks(probed).items()]
    return tuple(table for table in tables if table.rows)


def probe_differences(probed: Sequence[ProbeResults]) -> DifferenceTable:
    """Every pair of orders in each way on each benchmark, by top-1; features alone come last.

    The interval over videos judges; where there are several training seeds one over them stands
    beside it.
    """
    rows = []
    for key, part in _benchmarks(probed).items():
        for looks_at, way in kinds():
            for like in like_orders(probed, key, way, looks_at):
                for first, second in pairs_to_compare(like.orders):
                    rows.append(
                        DifferenceRow(
                            benchmark=f"{part.title}, {LOOKED_AT[looks_at]}, {HOW[way]}",
                            first=like.label(first),
                            second=like.label(second),
                            cells=_difference(first, second, key, way, looks_at),
                            judged_by=COLUMNS[0],
                        )
                    )
    columns = (COLUMNS[0], OVER_SEEDS)
    return DifferenceTable(
        columns=columns if any(OVER_SEEDS in row.cells for row in rows) else columns[:1],
        rows=tuple(rows),
    )


def _difference(
    first: Order[ProbeResults], second: Order[ProbeResults], key: str, way: Way, looks_at: str
) -> dict[str, Difference]:
    splits = first.seeds[0].benchmarks[key].splits
    interval = accuracy_difference(
        _mean_hits(first, key, way, looks_at),
        _mean_hits(second, key, way, looks_at),
        [side.groups for side in splits],
        [side.video_ids for side in splits],
    )
    cells = {COLUMNS[0]: Difference(interval=interval)}
    more, less = (_top1_by_seed(order, key, way, looks_at) for order in (first, second))
    if second.model == WITHOUT_MODEL:  # no training seed changes it
        (alone,) = less.values()
        less = dict.fromkeys(more, alone)
    common = sorted(more.keys() & less.keys())
    if len(common) > 1:
        over_seeds = seed_interval(np.array([more[seed] - less[seed] for seed in common]))
        cells[OVER_SEEDS] = Difference(interval=over_seeds)
    return cells


def _benchmarks(probed: Sequence[ProbeResults]) -> dict[str, BenchmarkProbes]:
    """As the first run has them; those of the others are on equal videos."""
    first: dict[str, tuple[ProbeResults, BenchmarkProbes]] = {}
    for run in probed:
        for key, part in run.benchmarks.items():
            other_run, other = first.setdefault(key, (run, part))
            if other.splits != part.splits:
                raise ValueError(
                    f"{other_run.run} and {run.run} were probed on different videos of {key}: "
                    "probe both again"
                )
    return {key: part for key, (_, part) in first.items()}


def _columns(part: BenchmarkProbes) -> tuple[str, ...]:
    """To name as many as there are says nothing."""
    return tuple(column for column, top in zip(COLUMNS, TOP, strict=True) if top < part.num_classes)


def _table(key: str, part: BenchmarkProbes, probed: Sequence[ProbeResults]) -> ProbeTable:
    chance = np.mean([side.chance for side in part.splits], axis=0).tolist()
    tested = {video_id for side in part.splits for video_id in side.video_ids}
    return ProbeTable(
        title=part.title,
        num_classes=part.num_classes,
        num_splits=len(part.splits),
        num_videos=len(tested),
        num_groups=len({group for side in part.splits for group in side.groups}),
        columns=_columns(part),
        rows=tuple(
            _row(like, order, key, way, looks_at, chance)
            for looks_at, way in kinds()
            for like in like_orders(probed, key, way, looks_at)
            for order in like.orders
        ),
        chance={
            column: f"{100 * share:.1f}"
            for column, share in zip(_columns(part), chance, strict=False)
        },
        remarks=(
            *dict.fromkeys(remark for run in probed for remark in missing_remarks(run, key)),
            *unlike_remarks(key, part, probed),
        ),
    )


def _row(
    like: LikeOrders,
    order: Order[ProbeResults],
    key: str,
    way: Way,
    looks_at: str,
    chance: Sequence[float],
) -> ProbeRow:
    splits = order.seeds[0].benchmarks[key].splits
    groups, videos = [side.groups for side in splits], [side.video_ids for side in splits]
    cells, over_seeds = {}, {}
    columns = _columns(order.seeds[0].benchmarks[key])
    for column, top, by_chance in zip(columns, TOP, chance, strict=False):
        hits = [_hits(run.benchmarks[key].of(way, looks_at), top) for run in order.seeds]
        interval = accuracy_interval(hits, groups, videos)
        values = [_accuracy(of_seed) for of_seed in hits]
        if len(values) > 1:
            known = seed_interval(np.array(values))
            over_seeds[column] = Interval(known.value, max(0.0, known.low), min(1.0, known.high))
        cells[column] = ShareCell(
            interval=interval,
            verdict=against_chance(interval, by_chance),
            seed_range=(min(values), max(values)) if len(values) > 1 else None,
        )
    return ProbeRow(
        label=like.label(order),
        looks_at=LOOKED_AT[looks_at],
        how=HOW[way],
        is_control=order.is_control,
        num_seeds=len(order.seeds),
        cells=cells,
        over_seeds=over_seeds,
    )


def _hits(parts: Sequence[Part], top: int) -> list[Float[np.ndarray, " videos"]]:
    """Of each split."""
    return [(np.array(part.ranks) < top).astype(np.float64) for part in parts]


def _accuracy(hits: Sequence[Float[np.ndarray, " videos"]]) -> float:
    return float(np.mean([of_split.mean() for of_split in hits]))


def _top1_by_seed(
    order: Order[ProbeResults], key: str, way: Way, looks_at: str
) -> dict[int, float]:
    return {
        run.seed: _accuracy(_hits(run.benchmarks[key].of(way, looks_at), 1)) for run in order.seeds
    }


def _mean_hits(
    order: Order[ProbeResults], key: str, way: Way, looks_at: str
) -> list[Float[np.ndarray, " videos"]]:
    """Share of the seeds that are right about each video."""
    of_seeds = [_hits(run.benchmarks[key].of(way, looks_at), 1) for run in order.seeds]
    return [np.mean(of_split, axis=0) for of_split in zip(*of_seeds, strict=True)]
