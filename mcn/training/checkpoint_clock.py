"""When the next checkpoint is due."""

import time

from mcn.training.config import Runtime


class CheckpointClock:
    """Counts from the last one; the first time from the beginning."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.saved()

    def saved(self) -> None:
        """One has been saved just now."""
        self._last_save = time.monotonic()

    def is_due(self, step: int) -> bool:
        """After so many steps of the run."""
        every = self.runtime.checkpoint_every_steps
        if every is not None and step % every == 0:
            return True
        minutes = (time.monotonic() - self._last_save) / 60
        return minutes >= self.runtime.checkpoint_every_minutes
