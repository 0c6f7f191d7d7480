"""The log as curves, with the forecast as a band."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from matplotlib.dates import date2num
from matplotlib.figure import Figure

from mcn.report.backlog.census import STAGES, Census
from mcn.report.backlog.forecast import forecast


def write_plot(path: Path, log: Sequence[Census], *, until: float) -> None:
    """A PNG with one curve a stage, and where each is expected to be on the later day."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.xaxis_date()
    times = [_day(census.at) for census in log]
    ahead = forecast(log, at=until) if len(log) > 1 else {}
    span = [times[-1], _day(until)]
    for stage in STAGES:
        counts = [census.videos[stage] for census in log]
        (curve,) = axes.plot(times, counts, marker=".", label=stage)
        if stage in ahead:
            one = ahead[stage]
            axes.plot(span, [counts[-1], one.expected], color=curve.get_color(), linestyle=":")
            if one.low is not None and one.high is not None:
                band = [counts[-1], one.low], [counts[-1], one.high]
                axes.fill_between(span, *band, color=curve.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(log[-1].expected, color="0.6", linewidth=0.8, label="expected")
    axes.set_ylabel("videos")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(frameon=False)
    figure.autofmt_xdate()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _day(at: float) -> float:
    """A moment as Matplotlib counts days."""
    return float(date2num(datetime.fromtimestamp(at)))
