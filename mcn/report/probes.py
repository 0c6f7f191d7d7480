"""Tables of probes: orders of training by what was classified and how, with intervals."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mcn.evaluation.statistics import against_chance
from mcn.probes.chance import TOP
from mcn.probes.intervals import accuracy_difference, accuracy_interval
from mcn.probes.results import BenchmarkProbes, Part, ProbeResults
from mcn.probes.settings import INPUTS, WAYS, Way
from mcn.report.differences import Difference, DifferenceRow, DifferenceTable
from mcn.report.orders import Order, orders_of, pairs_to_compare
from mcn.report.share_cell import ShareCell

COLUMNS = tuple(f"top-{top}" for top in TOP)

LOOKED_AT = {"video": "video", "audio": "audio", "both": "video + audio"}

HOW: dict[Way, str] = {
    "frozen": "frozen",
    "linear": "linear",
    "finetune": "fine-tuned",
}

WITHOUT_MODEL = "features"
"""Model of what is probed without any."""


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
    """Every pair of orders in each way on each benchmark, by top-1; features alone come last."""
    rows = []
    for key, part in _benchmarks(probed).items():
        groups = [side.groups for side in part.splits]
        for looks_at, way in _kinds():
            orders = _orders(probed, key, way, looks_at)
            for first, second in pairs_to_compare(orders):
                interval = accuracy_difference(
                    _mean_hits(first, key, way, looks_at),
                    _mean_hits(second, key, way, looks_at),
                    groups,
                )
                rows.append(
                    DifferenceRow(
                        benchmark=f"{part.title}, {LOOKED_AT[looks_at]}, {HOW[way]}",
                        first=_label(first),
                        second=_label(second),
                        cells={COLUMNS[0]: Difference(interval=interval)},
                        judged_by=COLUMNS[0],
                    )
                )
    return DifferenceTable(columns=COLUMNS[:1], rows=tuple(rows))


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


def _kinds() -> list[tuple[str, Way]]:
    return [(looks_at, way) for looks_at in INPUTS for way in WAYS]


def _orders(
    probed: Sequence[ProbeResults], key: str, way: Way, looks_at: str
) -> list[Order[ProbeResults]]:
    """Those that are done in this way on all splits; without any model last."""
    done = [
        run for run in probed if key in run.benchmarks and run.benchmarks[key].of(way, looks_at)
    ]
    return sorted(orders_of(done), key=lambda order: order.model == WITHOUT_MODEL)


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
            _row(order, key, way, looks_at, chance)
            for looks_at, way in _kinds()
            for order in _orders(probed, key, way, looks_at)
        ),
        chance={
            column: f"{100 * share:.1f}"
            for column, share in zip(_columns(part), chance, strict=False)
        },
        remarks=tuple(dict.fromkeys(r for run in probed for r in _remarks(run, key))),
    )


def _row(
    order: Order[ProbeResults], key: str, way: Way, looks_at: str, chance: Sequence[float]
) -> ProbeRow:
    groups = [side.groups for side in order.seeds[0].benchmarks[key].splits]
    cells = {}
    columns = _columns(order.seeds[0].benchmarks[key])
    for column, top, by_chance in zip(columns, TOP, chance, strict=False):
        hits = [_hits(run.benchmarks[key].of(way, looks_at), top) for run in order.seeds]
        interval = accuracy_interval(hits, groups)
        values = [float(np.mean([split.mean() for split in of_seed])) for of_seed in hits]
        cells[column] = ShareCell(
            interval=interval,
            verdict=against_chance(interval, by_chance),
            seed_range=(min(values), max(values)) if len(values) > 1 else None,
        )
    return ProbeRow(
        label=_label(order),
        looks_at=LOOKED_AT[looks_at],
        how=HOW[way],
        is_control=order.is_control,
        num_seeds=len(order.seeds),
        cells=cells,
    )


def _label(order: Order[ProbeResults]) -> str:
    return "features alone" if order.model == WITHOUT_MODEL else order.label


def _hits(parts: Sequence[Part], top: int) -> list[Float[np.ndarray, " videos"]]:
    """Of each split."""
    return [(np.array(part.ranks) < top).astype(np.float64) for part in parts]


def _mean_hits(
    order: Order[ProbeResults], key: str, way: Way, looks_at: str
) -> list[Float[np.ndarray, " videos"]]:
    """Share of the seeds that are right about each video."""
    of_seeds = [_hits(run.benchmarks[key].of(way, looks_at), 1) for run in order.seeds]
    return [np.mean(of_split, axis=0) for of_split in zip(*of_seeds, strict=True)]


def _remarks(run: ProbeResults, key: str) -> list[str]:
    """Each kind of what is missing once, however many runs and ways it concerns."""
    if key not in run.benchmarks:
        return []
    benchmark = run.benchmarks[key]
    remarks = []
    for looks_at in INPUTS:
        parts = [part for part in benchmark.parts if part.looks_at == looks_at]
        missing = {video_id: why for part in parts for video_id, why in part.missing.items()}
        if missing:
            counts = sorted(Counter(missing.values()).items())
            reasons = ", ".join(f"{count} x {reason}" for reason, count in counts)
            remarks.append(
                f"{benchmark.title}, {LOOKED_AT[looks_at]}: {len(missing)} tested videos have no "
                f"features and count as wrong ({reasons})."
            )
        if left_out := max((part.num_left_out for part in parts), default=0):
            remarks.append(
                f"{benchmark.title}, {LOOKED_AT[looks_at]}: up to {left_out} training videos of a "
                "split have no features and are left out."
            )
    return remarks
