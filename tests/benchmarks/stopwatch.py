"""Where the time goes between parts of a program, by methods of classes that are watched meanwhile.

A part that runs inside another one does not count for that. On a GPU the clock is read when all
work that was asked for is done, so that a step takes a little longer than unwatched.
"""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch

Methods = Sequence[tuple[type, str]]


class Stopwatch:
    """Seconds by part, of the steps since it was last reset."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def during(self, part: str) -> Iterator[None]:
        """Count for this part, and not for the one around it."""
        self._switch()
        self._open.append(part)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    @contextmanager
    def watching(self, methods_of_parts: Mapping[str, Methods]) -> Iterator[None]:
        """Count each call of these methods for its part."""
        with ExitStack() as stack:
            for part, methods in methods_of_parts.items():
                for owner, name in methods:
                    watched = self._watched(part, getattr(owner, name))
                    stack.enter_context(patch.object(owner, name, watched))
            yield

    def reset(self) -> dict[str, float]:
        """What was counted, which is then forgotten."""
        counted, self.seconds = dict(self.seconds), defaultdict(float)
        return counted

    def _watched(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def watched(*values: Any, **named: Any) -> Any:
            with self.during(part):
                return method(*values, **named)

        return watched

    def _switch(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now
