"""What a benchmark hands back: a table's worth of rows, and what it left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.timing import Ratio, Timing, ratio


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contender's number."""

    name: str
    value: float
    unit: str
    ratio: Ratio | None = None
    """How many times as long as ours it took; None for ours, and where there is no peer."""
    wall_seconds: float | None = None
    """Of a round, the median; None where no rounds were timed."""
    cpu_seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One comparison."""

    title: str
    measured: str
    """Sizes, rounds, threads, state of the cache."""
    rows: list[Row]
    left_out: list[str] = field(default_factory=list)
    """A line for each peer that is not here, with the way to have it."""


def rates(
    timings: Mapping[str, Timing],
    *,
    amount: float,
    unit: str,
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """Amounts done per second of wall time; the first contender is ours."""
    walls = {name: timing.wall_seconds for name, timing in timings.items()}
    return _rows(
        {name: amount / median(walls[name]) for name in walls}, walls, timings, unit, notes or {}
    )


def rates_per_core_second(
    timings: Mapping[str, Timing],
    *,
    amount: float,
    unit: str,
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """Amounts done per second of processor time; the first contender is ours."""
    cpus = {name: timing.cpu_seconds for name, timing in timings.items()}
    return _rows(
        {name: amount / median(cpus[name]) for name in cpus}, cpus, timings, unit, notes or {}
    )


def durations(
    timings: Mapping[str, Timing], *, notes: Mapping[str, str] | None = None
) -> list[Row]:
    """Seconds of wall time; the first contender is ours."""
    walls = {name: timing.wall_seconds for name, timing in timings.items()}
    return _rows({name: median(walls[name]) for name in walls}, walls, timings, "s", notes or {})


def cpu_durations(
    timings: Mapping[str, Timing], *, notes: Mapping[str, str] | None = None
) -> list[Row]:
    """Seconds of processor time; the first contender is ours."""
    cpus = {name: timing.cpu_seconds for name, timing in timings.items()}
    return _rows({name: median(cpus[name]) for name in cpus}, cpus, timings, "CPU s", notes or {})


def _rows(
    values: Mapping[str, float],
    seconds: Mapping[str, list[float]],
    timings: Mapping[str, Timing],
    unit: str,
    notes: Mapping[str, str],
) -> list[Row]:
    ours = next(iter(seconds))
    return [
        Row(
            name=name,
            value=value,
            unit=unit,
            ratio=None if name == ours else ratio(seconds[ours], seconds[name]),
            wall_seconds=median(timings[name].wall_seconds),
            cpu_seconds=median(timings[name].cpu_seconds),
            note=notes.get(name, ""),
        )
        for name, value in values.items()
    ]
