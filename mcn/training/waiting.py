"""How much of the time of training is spent waiting for the next batch."""

import time
from collections.abc import Callable

from mcn.progress import Progress

FORGETS = 0.02
"""Weight of the newest step: the share is that of the last fifty or so."""


class WaitingForData:
    """Around each wait: a step lasts from the beginning of one to that of the next."""

    def __init__(
        self, progress: Progress, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Takes where the share is shown, and what tells the seconds."""
        self.progress = progress
        self.clock = clock
        self._began: float | None = None
        self._ended = 0.0
        self._waited = self._passed = 0.0

    @property
    def share(self) -> float:
        """Of the last steps, the newest one not counted yet; 0 at first."""
        return self._waited / self._passed if self._passed else 0.0

    def __enter__(self) -> None:
        now = self.clock()
        if self._began is not None:
            self._waited += FORGETS * (self._ended - self._began - self._waited)
            self._passed += FORGETS * (now - self._began - self._passed)
            self.progress.note = f"waits {self.share:.1%} for data"
        self._began = now

    def __exit__(self, *exception: object) -> None:
        self._ended = self.clock()
