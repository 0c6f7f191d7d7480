"""A share of videos or steps, as tables show it: in percent, with its interval."""

from dataclasses import dataclass

import numpy as np

from mcn.evaluation.statistics import Interval, Verdict
from mcn.report.table import MARKS


@dataclass(frozen=True, kw_only=True)
class ShareCell:
    """One measure of one row."""

    interval: Interval
    verdict: Verdict
    seed_range: tuple[float, float] | None
    """Lowest and highest over the seeds, where there are several."""

    @property
    def text(self) -> str:
        """In percent with the interval; the value alone where there are too few videos."""
        if np.isnan(self.interval.low):
            return f"{100 * self.interval.value:.1f}"
        return self.interval.as_percent()

    @property
    def mark(self) -> str:
        return MARKS[self.verdict]

    @property
    def seeds(self) -> str:
        """Range over the seeds, as in `10.0 to 13.0`; empty for a single seed."""
        return " to ".join(f"{100 * end:.1f}" for end in self.seed_range or ())
