"""A request to stop, set by a signal and looked at between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# SIGTERM ends jobs; SIGUSR2 announces a preemption (NCCL may catch SIGUSR1).
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class StoppedEarlyError(RuntimeError):
    """The run was asked to stop and has saved its state: to start it again is to carry on."""


class StopRequest:
    """Whether a signal has asked this process to stop."""

    def __init__(self) -> None:
        self.is_set = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.is_set = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Signals set the flag for the length of the block, and do nothing else."""
    request = StopRequest()
    kept = {number: signal.signal(number, request._on_signal) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
