"""Kills a piece of work before its n-th call that changes a file system, in a child process."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

_EVENTS = {
    "open",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.truncate",
    "os.scandir",
}


def killed_before(call: int, work: Callable[[], object]) -> bool:
    """Whether the work was killed; False where it ended before it came to so many calls."""
    child = os.fork()
    if not child:
        _count_down(call)
        try:
            work()
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _count_down(call: int) -> None:
    left = [call]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            count()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            count()
            return function(*arguments)

        return call

    os.pwrite, os.fsync = counted(os.pwrite), counted(os.fsync)
    sys.addaudithook(on_event)
