"""A request to stop, set by a signal and looked at between two steps, or two videos."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# SIGTERM ends jobs; SIGUSR2 announces a preemption (NCCL may catch SIGUSR1).
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class StoppedEarlyError(RuntimeError):
    """The work was asked to stop and has saved its state: to start it again is to carry on."""


class StopRequest:
    """Whether a signal has asked this process to stop."""

    def __init__(self) -> None:
        self.is_set = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.is_set = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Signals set the flag for the length of the block, and do nothing else.

    Who was asked is on the way out, and hears no signal after the block either.
    """
    request = StopRequest()
    kept = {number: signal.signal(number, request._on_signal) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in kept.items():
            signal.signal(number, signal.SIG_IGN if request.is_set else handler)


def raise_on_signal() -> None:
    """From now on, outside of `stop_on_signal`, the first signal raises StoppedEarlyError.

    For what needs to save nothing before it stops.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StoppedEarlyError(f"asked to stop by {signal.Signals(number).name}")
