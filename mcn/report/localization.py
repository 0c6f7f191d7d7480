"""Tables of benchmarks of steps: orders of training by measures, each cell with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mcn.evaluation.localization_results import CHANCE, LocalizationResults
from mcn.evaluation.localization_statistics import mean_of_tasks_interval
from mcn.evaluation.results import RunResults
from mcn.evaluation.statistics import against_chance
from mcn.evaluation.step_videos import IN_ORDER, SECOND_BY_SECOND
from mcn.report.directions import named
from mcn.report.orders import Order, orders_of
from mcn.report.share_cell import ShareCell

RECALL = "recall"
POOLED_RECALL = "recall pooled within tasks"
RECALL_BY_SECOND = "recall second by second"


@dataclass(frozen=True, kw_only=True)
class LocalizationRow:
    """One order or control, compared in one way."""

    label: str
    compared_with: str
    is_control: bool
    num_seeds: int
    cells: dict[str, ShareCell]
    """By measure; empty where the model's spaces do not allow it."""


@dataclass(frozen=True, kw_only=True)
class LocalizationTable:
    """One benchmark."""

    title: str
    num_videos: int
    num_tasks: int
    columns: tuple[str, ...]
    rows: tuple[LocalizationRow, ...]
    chance: dict[str, str]
    remarks: tuple[str, ...]
    """What was left out, and what counts as not found."""


def localization_tables(
    runs: Sequence[RunResults], directions: Sequence[str]
) -> list[LocalizationTable]:
    """A table for each benchmark of steps that any run was evaluated on.

    Raises:
        ValueError: Two runs were evaluated on different videos of one benchmark.
    """
    return [
        _table(key, part, runs, directions) for key, part in localization_benchmarks(runs).items()
    ]


def localization_benchmarks(runs: Sequence[RunResults]) -> dict[str, LocalizationResults]:
    """The results of the first run on each benchmark; those of the others are on equal videos."""
    first: dict[str, tuple[RunResults, LocalizationResults]] = {}
    for run in runs:
        for key, part in run.localization.items():
            other_run, other = first.setdefault(key, (run, part))
            if (other.video_ids, other.tasks) != (part.video_ids, part.tasks):
                raise ValueError(
                    f"{other_run.run} and {run.run} were evaluated on different videos of {key}: "
                    "evaluate both again"
                )
    return {key: part for key, (_, part) in first.items()}


def columns_of(part: LocalizationResults) -> tuple[str, ...]:
    """What a table shows: recall in all its definitions, then overlaps as they are called."""
    overlaps = [name for name in part.measured if name not in (IN_ORDER, SECOND_BY_SECOND)]
    has_tasks = len(set(part.tasks)) > 1
    by_second = (RECALL_BY_SECOND,) if SECOND_BY_SECOND in part.measured else ()
    return (RECALL, *((POOLED_RECALL,) if has_tasks else ()), *by_second, *overlaps)


def fractions(
    part: LocalizationResults, column: str, key: str
) -> tuple[Float[np.ndarray, " videos"], Float[np.ndarray, " videos"]]:
    """Numerator and denominator of each video, whose sums a column averages over the tasks."""
    names = {RECALL: IN_ORDER, POOLED_RECALL: IN_ORDER, RECALL_BY_SECOND: SECOND_BY_SECOND}
    values = part.measured[names.get(column, column)][key]
    if column not in names:
        return (
            np.array([value or 0.0 for value in values]),
            np.array([value is not None for value in values], float),
        )
    found, present = np.array(values, float), np.array(part.num_present, float)
    if column == POOLED_RECALL:
        return found, present
    return found / np.maximum(present, 1), (present > 0).astype(float)


def mean_fractions(
    order: Order[RunResults], benchmark: str, column: str, key: str
) -> tuple[Float[np.ndarray, " videos"], Float[np.ndarray, " videos"]]:
    """The same, averaged over the seeds."""
    pairs = [fractions(run.localization[benchmark], column, key) for run in order.seeds]
    return np.mean([top for top, _ in pairs], axis=0), pairs[0][1]


def _table(
    key: str, part: LocalizationResults, runs: Sequence[RunResults], directions: Sequence[str]
) -> LocalizationTable:
    columns = columns_of(part)
    return LocalizationTable(
        title=part.title,
        num_videos=len(part.video_ids),
        num_tasks=len(set(part.tasks)),
        columns=columns,
        rows=tuple(
            LocalizationRow(
                label=order.label,
                compared_with=named(direction, is_comparable=_allows(order, key, direction)),
                is_control=order.is_control,
                num_seeds=len(order.seeds),
                cells={column: _cell(order, key, column, direction) for column in columns}
                if _allows(order, key, direction)
                else {},
            )
            for order in orders_of([run for run in runs if key in run.localization])
            for direction in directions
        ),
        chance={column: f"{100 * _value(part, column, CHANCE):.1f}" for column in columns},
        remarks=tuple(
            _remarks([run.localization[key] for run in runs if key in run.localization], directions)
        ),
    )


def _allows(order: Order[RunResults], key: str, direction: str) -> bool:
    return order.seeds[0].localization[key].allows(direction)


def _cell(order: Order[RunResults], key: str, column: str, direction: str) -> ShareCell:
    parts = [run.localization[key] for run in order.seeds]
    top, bottom = mean_fractions(order, key, column, direction)
    by_chance, _ = fractions(parts[0], column, CHANCE)
    gain = mean_of_tasks_interval(top - by_chance, bottom, parts[0].tasks)
    values = [_value(part, column, direction) for part in parts]
    return ShareCell(
        interval=mean_of_tasks_interval(top, bottom, parts[0].tasks),
        verdict=against_chance(gain, 0.0),
        seed_range=(min(values), max(values)) if len(values) > 1 else None,
    )


def _value(part: LocalizationResults, column: str, key: str) -> float:
    return mean_of_tasks_interval(*fractions(part, column, key), part.tasks, resamples=1).value


def _remarks(parts: Sequence[LocalizationResults], directions: Sequence[str]) -> list[str]:
    """Of all runs: their spaces differ, and with them the ways of comparing that they know."""
    left_out = [
        f"{part.title}: {part.num_without_features} annotated videos lack features, "
        "and are left out."
        for part in parts
        if part.num_without_features
    ]
    missing = [
        f"{part.title}, {named(key)}: {part.num_missing[key]} of {len(part.video_ids)} videos lack "
        "what is compared with, and none of their steps counts as found."
        for key in directions
        for part in parts
        if part.num_missing.get(key)
    ]
    return list(dict.fromkeys(left_out + missing))
