"""How far each stage will be on a later day, with an interval, from the log of the past.

Work is counted in frames: videos differ in length, and the long ones are what delays. The rate of
the last two weeks goes on. What it may be off by is drawn from the stretches between the looks of
these weeks: once for the rate, which is known from them alone, and once for the days to come.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcn.report.backlog.census import STAGES, Census

SECONDS_PER_DAY = 86_400.0
DAYS_LOOKED_BACK = 14.0
RESAMPLES = 2_000
LEAST_STRETCHES = 3
"""Fewer tell nothing of how the rate varies."""


@dataclass(frozen=True)
class Forecast:
    """One stage on one later day, in videos."""

    expected: float
    low: float | None
    """Lower end of the 80 % interval; None where the log is too short for one."""
    high: float | None


def forecast(log: Sequence[Census], *, at: float, unit: str = "frames") -> dict[str, Forecast]:
    """What each stage will have reached at a moment after the last census.

    Args:
        log: Censuses, the oldest first.
        at: The moment, in seconds since 1970.
        unit: What goes on at an even rate: `frames`, or `videos`.

    Raises:
        ValueError: The log has fewer than two censuses, or the moment lies before the last.
    """
    if len(log) < 2:
        raise ValueError(
            f"a forecast needs two looks at different times, and the log has {len(log)}: "
            "call jobs/status.py --progress once a day"
        )
    now = log[-1]
    days = (at - now.at) / SECONDS_PER_DAY
    if days < 0:
        raise ValueError("the day to forecast lies before the last look")
    forecasts: dict[str, Forecast] = {}
    bound = Forecast(float(now.expected), float(now.expected), float(now.expected))
    for stage in STAGES:
        bound = _bounded(_forecast_stage(log, stage, days, unit), bound)
        forecasts[stage] = bound
    return forecasts


def _forecast_stage(log: Sequence[Census], stage: str, days: float, unit: str) -> Forecast:
    now = log[-1]
    recent = [c for c in log if c.at >= now.at - DAYS_LOOKED_BACK * SECONDS_PER_DAY]
    recent = recent if len(recent) > 1 else list(log[-2:])
    done = np.array([getattr(census, unit)[stage] for census in recent], float)
    lengths = np.diff([census.at for census in recent]) / SECONDS_PER_DAY
    gains = np.diff(done)
    frames_of_one = now.mean_frames if unit == "frames" else 1.0
    rate = gains.sum() / lengths.sum()
    ahead = now.videos[stage] + rate * days / frames_of_one
    if len(gains) < LEAST_STRETCHES:
        return Forecast(float(ahead), None, None)
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(gains), size=(RESAMPLES, len(gains)))
    rates = gains[drawn].sum(axis=1) / lengths[drawn].sum(axis=1)
    num_stretches = max(1, round(days / lengths.mean()))
    drawn = generator.integers(len(gains), size=(RESAMPLES, num_stretches))
    luck = (gains - rate * lengths)[drawn].sum(axis=1)
    gained = np.quantile(rates * days + luck, [0.1, 0.9])
    low, high = now.videos[stage] + gained / frames_of_one
    return Forecast(float(ahead), float(low), float(high))


def _bounded(own: Forecast, before: Forecast) -> Forecast:
    """No stage gets ahead of the one before it."""
    if own.low is None or own.high is None or before.low is None or before.high is None:
        return Forecast(min(own.expected, before.expected), own.low, own.high)
    return Forecast(
        min(own.expected, before.expected), min(own.low, before.low), min(own.high, before.high)
    )


def seconds_until_done(log: Sequence[Census], stage: str) -> float | None:
    """How long until a stage has passed all expected videos at the rate of late; None if never."""
    if len(log) < 2:
        return None
    now = log[-1]
    left = now.expected - now.videos[stage]
    per_day = _forecast_stage(log, stage, 1.0, "frames").expected - now.videos[stage]
    if left <= 0:
        return 0.0
    return left / per_day * SECONDS_PER_DAY if per_day > 0 else None


@dataclass(frozen=True)
class Backtest:
    """How forecasts made in the past have turned out, for one stage and one unit."""

    forecasts: int
    mean_error_videos: float
    """Mean distance of forecast and truth."""
    inside: float | None
    """Share of the truths within their 80 % interval."""


def backtest(log: Sequence[Census], *, days: float, unit: str = "frames") -> dict[str, Backtest]:
    """Forecast from each point of the log what it says so many days later."""
    errors: dict[str, list[float]] = {stage: [] for stage in STAGES}
    hits: dict[str, list[bool]] = {stage: [] for stage in STAGES}
    for place in range(2, len(log)):
        known = log[:place]
        truth = _near(log[place:], known[-1].at + days * SECONDS_PER_DAY)
        if truth is None:
            continue
        for stage, said in forecast(known, at=truth.at, unit=unit).items():
            errors[stage].append(abs(said.expected - truth.videos[stage]))
            if said.low is not None and said.high is not None:
                hits[stage].append(said.low <= truth.videos[stage] <= said.high)
    return {
        stage: Backtest(
            len(errors[stage]),
            float(np.mean(errors[stage])),
            float(np.mean(hits[stage])) if hits[stage] else None,
        )
        for stage in STAGES
        if errors[stage]
    }


def _near(log: Sequence[Census], at: float) -> Census | None:
    """The census closest to a moment, at most half a day away."""
    closest = min(log, key=lambda census: abs(census.at - at), default=None)
    if closest is None or abs(closest.at - at) > SECONDS_PER_DAY / 2:
        return None
    return closest
