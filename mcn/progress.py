"""Progress of long steps: a bar with rate and remaining time, plain lines without a terminal."""

import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts what is done of a known total and shows it; any thread may advance it."""

    def __init__(self, label: str, *, total: int, unit: str, is_shown: bool = True) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self._lock = threading.Lock()
        self._console = Console(stderr=True, quiet=not is_shown)
        self._bar: Bar | None = None

    def __enter__(self) -> "Progress":
        self._started = self._last_line = time.monotonic()
        if self._console.is_terminal and not self._console.quiet:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(
                self.label, total=self.total, unit=self.unit, rate=self._rate()
            )
            self._bar.start()
        return self

    def advance(self, amount: int = 1) -> None:
        with self._lock:
            self.done += amount
            if self._bar is not None:
                self._bar.update(self._task, completed=self.done, rate=self._rate())
            elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
                self._print_line()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self.total:
            self._print_line()

    def _rate(self) -> str:
        elapsed = time.monotonic() - self._started
        return f"{self.done / elapsed:.1f} {self.unit}/s" if elapsed > 0 and self.done else ""

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        elapsed = self._last_line - self._started
        left = elapsed / self.done * (self.total - self.done) if self.done else None
        remaining = "" if left is None or not left else f", {left:.0f} s left"
        self._console.print(
            f"{self.label}: {self.done}/{self.total} {self.unit}, {self._rate()}{remaining}",
            highlight=False,
            soft_wrap=True,
        )
