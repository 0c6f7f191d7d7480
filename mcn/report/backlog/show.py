"""The week's table on the terminal, its plot in the report, and the log that both come from."""

import json
import time
from dataclasses import asdict
from datetime import datetime

from rich.console import Console

from mcn.data.stores import Features
from mcn.report.backlog.census import append_census, read_log, take_census
from mcn.report.backlog.forecast import SECONDS_PER_DAY, backtest, forecast
from mcn.report.backlog.plot import write_plot
from mcn.report.backlog.steps import Steps
from mcn.report.backlog.table import backtest_table, outcomes_table, progress_table
from mcn.root import Root

SECONDS_BETWEEN_CENSUSES = 600.0
UNITS = ("frames", "videos")


def show_progress(
    root: Root,
    features: Features,
    console: Console,
    *,
    until: str | None,
    is_backtest: bool,
    is_json: bool,
) -> None:
    """Count, add to the log, and print.

    Args:
        root: What is counted.
        features: The stores that count as audio and as video.
        console: Where to print.
        until: The later day, as 2023-08-31; in a week if not given.
        is_backtest: Print how forecasts of the past have turned out.
        is_json: Print one JSON value instead of tables.

    Raises:
        ValueError: The day is none, or lies in the past.
    """
    now = time.time()
    later = now + 7 * SECONDS_PER_DAY if until is None else _midnight(until)
    path = root.logs / "progress.jsonl"
    log = read_log(path)
    steps = Steps.read(root, features)
    census, tallies = take_census(root, steps, at=now), steps.tallies()
    if log and now - log[-1].at < SECONDS_BETWEEN_CENSUSES:
        log[-1] = census
    else:
        append_census(path, census)
        log.append(census)
    if is_json:
        ahead = forecast(log, at=later) if len(log) > 1 else {}
        said = {stage: asdict(one) for stage, one in ahead.items()}
        whole = {"now": asdict(census), "until": later, "forecast": said}
        outcomes = {step: asdict(tally) for step, tally in tallies.items()}
        print(json.dumps(whole | {"steps": outcomes, "complaints": steps.complaints()}, indent=1))
        return
    console.print(progress_table(log, until=later))
    console.print("", outcomes_table(tallies), sep="\n")
    for complaint in steps.complaints():
        console.print(complaint, style="yellow", soft_wrap=True, markup=False)
    if is_backtest:
        days = round((later - now) / SECONDS_PER_DAY)
        tests = {unit: backtest(log, days=days, unit=unit) for unit in UNITS}
        console.print("", backtest_table(tests, days=days))
    plot = root.path / "report" / "progress.png"
    write_plot(plot, log, until=later)
    print(plot)


def _midnight(day: str) -> float:
    try:
        return datetime.fromisoformat(day).timestamp()
    except ValueError as error:
        raise ValueError(f"--until {day}: write the day as 2023-08-31") from error
