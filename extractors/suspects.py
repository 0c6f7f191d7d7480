"""Where a stream may have lost frames, until those that came through have passed the place."""

from typing import NamedTuple


class _Range(NamedTuple):
    start_seconds: float
    stop_seconds: float
    least_gap_seconds: float


class Suspects:
    """Times at which something is known to be damaged, noted before the frames behind them come."""

    def __init__(self) -> None:
        self._ranges: list[_Range] = []

    @property
    def first_seconds(self) -> float | None:
        """Where the first of them begins."""
        return min((each.start_seconds for each in self._ranges), default=None)

    def add(
        self, start_seconds: float, stop_seconds: float, *, least_gap_seconds: float = 0.0
    ) -> None:
        """Suspects this time, and in a gap longer than that all that follows up to its end."""
        self._ranges.append(_Range(start_seconds, stop_seconds, least_gap_seconds))

    def lost_before(self, seconds: float, *, last_seconds: float, end_seconds: float) -> float:
        """Seconds that are lost before a frame; what lies before it is suspected no more.

        A gap between frames is no loss by itself, for a picture may stay as long as it likes. It is
        one from where something in it is suspected. A time that is a frame's own has not lost it.

        Args:
            seconds: When the frame comes.
            last_seconds: When the one before it came.
            end_seconds: Until when that one lasts, for all that it says.
        """
        gap_seconds = seconds - end_seconds
        starts = [
            each.start_seconds
            for each in self._ranges
            if each.start_seconds < seconds
            and each.stop_seconds > last_seconds
            and each.least_gap_seconds < gap_seconds
        ]
        self._ranges = [each for each in self._ranges if each.stop_seconds > seconds]
        return max(0.0, seconds - max(end_seconds, min(starts))) if starts else 0.0
