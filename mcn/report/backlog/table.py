"""The week's table: what has passed each stage now, and what will have on a later day."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from mcn.report.backlog.census import STAGES, Census
from mcn.report.backlog.forecast import Backtest, Forecast, forecast, seconds_until_done
from mcn.report.backlog.steps import ORDER, Tally

DAY = "%d %B"


def progress_table(log: Sequence[Census], *, until: float) -> Table:
    """A row for now, one for the later day, one for the day on which a stage will be done."""
    now = log[-1]
    table = Table("", *STAGES, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    counts = [f"{now.videos[stage]:,}" for stage in STAGES]
    shares = [f"{now.videos[stage] / max(1, now.expected):.0%}" for stage in STAGES]
    table.add_row(f"now, {_day(now.at)}", *counts)
    table.add_row(f"of {now.expected:,}", *shares)
    if len(log) > 1:
        ahead = forecast(log, at=until)
        table.add_row(f"forecast, {_day(until)}", *(_in_words(ahead[stage]) for stage in STAGES))
        table.add_row("done on", *(_done_on(log, stage) for stage in STAGES))
    return table


def backtest_table(by_unit: Mapping[str, Mapping[str, Backtest]], *, days: float) -> Table:
    """How far forecasts of the past were off, counted in frames and in videos."""
    table = Table(f"{days:g} days ahead", *STAGES, box=None, pad_edge=False)
    for unit, tests in by_unit.items():
        errors = [f"{tests[s].mean_error_videos:,.0f}" if s in tests else "-" for s in STAGES]
        table.add_row(f"mean error in videos, by {unit}", *errors)
        inside = [tests[s].inside if s in tests else None for s in STAGES]
        table.add_row(
            f"inside the 80 % interval, by {unit}",
            *("-" if share is None else f"{share:.0%}" for share in inside),
        )
    return table


def outcomes_table(tallies: Mapping[str, Tally]) -> Table:
    """A row for each step: what is done, what has failed in which class and why."""
    table = Table("", "done", *ORDER, "quarantined", "tries", "reasons", box=None, pad_edge=False)
    for column in table.columns[1:-1]:
        column.justify = "right"
    for step, tally in tallies.items():
        reasons = Counter[str]()
        for of_class in tally.failed.values():
            reasons.update(of_class)
        table.add_row(
            step,
            f"{tally.done:,}",
            *(f"{sum(tally.failed.get(name, {}).values()):,}" for name in ORDER),
            f"{tally.quarantined:,}",
            f"{tally.attempts:,}",
            ", ".join(f"{number:,} {reason}" for reason, number in reasons.most_common()),
        )
    return table


def _in_words(ahead: Forecast) -> str:
    if ahead.low is None or ahead.high is None:
        return f"{ahead.expected:,.0f}"
    return f"{ahead.expected:,.0f} [{ahead.low:,.0f}, {ahead.high:,.0f}]"


def _done_on(log: Sequence[Census], stage: str) -> str:
    seconds = seconds_until_done(log, stage)
    if seconds is None:
        return "never, at this rate"
    return "done" if seconds == 0 else _day(log[-1].at + seconds)


def _day(at: float) -> str:
    return time.strftime(DAY, time.localtime(at)).lstrip("0")
