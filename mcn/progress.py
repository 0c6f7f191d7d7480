"""Progress of long steps: a bar with rate and remaining time, plain lines without a terminal."""

import json
import os
import threading
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_FILES = 5.0


class Progress:
    """Counts what is done of a known total and shows it; any thread may advance it.

    Where a file is given, the counts are also there for other processes to read: a JSON value with
    `label`, `unit`, `done`, `total`, `frames`, `skipped`, `note` and the seconds since 1970 at
    which it was `started_at` and `updated_at`, replaced every few seconds.
    """

    def __init__(
        self,
        label: str,
        *,
        total: int,
        unit: str,
        is_shown: bool = True,
        file: Path | None = None,
    ) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self.skipped = 0
        self.frames = 0
        self.note = ""
        """Shown behind the rate, and in the file."""
        self.file = file
        self._lock = threading.Lock()
        self._printed = -1
        self._console = Console(stderr=True, quiet=not is_shown)
        self._bar: Bar | None = None

    def __enter__(self) -> "Progress":
        self._started = self._last_line = time.monotonic()
        self._started_at = time.time()
        self._write_file()
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

    def advance(self, amount: int = 1, *, frames: int = 0) -> None:
        """So much more has been done, with so many rows of features."""
        with self._lock:
            self.done += amount
            self.frames += frames
            if self._bar is not None:
                self._bar.update(self._task, completed=self.done, rate=self._rate())
            elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
                self._print_line()
            if time.monotonic() - self._last_file >= SECONDS_BETWEEN_FILES:
                self._write_file()

    def skip(self, amount: int) -> None:
        """So much had been done before, and counts towards no rate."""
        self.skipped += amount
        self.advance(amount)

    def show_note(self, note: str) -> None:
        """From now on, and at once: what follows may take long and advance nothing."""
        with self._lock:
            self.note = note
            if self._bar is not None:
                self._bar.update(self._task, rate=self._rate())
            else:
                self._print_line()
            self._write_file()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self.total and self._printed != self.done:
            self._print_line()
        self._write_file()

    def _rate(self) -> str:
        elapsed = time.monotonic() - self._started
        done = self.done - self.skipped
        rate = f"{done / elapsed:.1f} {self.unit}/s" if elapsed > 0 and done else ""
        return ", ".join(part for part in (rate, self.note) if part)

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        self._printed = self.done
        elapsed = self._last_line - self._started
        done = self.done - self.skipped
        left = elapsed / done * (self.total - self.done) if done else None
        remaining = "" if left is None or not left else f", {left:.0f} s left"
        self._console.print(
            f"{self.label}: {self.done}/{self.total} {self.unit}, {self._rate()}{remaining}",
            highlight=False,
            soft_wrap=True,
        )

    def _write_file(self) -> None:
        self._last_file = time.monotonic()
        if self.file is None:
            return
        counts = {
            "label": self.label,
            "unit": self.unit,
            "done": self.done,
            "total": self.total,
            "frames": self.frames,
            "skipped": self.skipped,
            "started_at": self._started_at,
            "updated_at": time.time(),
            "note": self.note,
        }
        aside = self.file.with_name(f"{self.file.name}.{os.getpid()}.tmp")
        aside.write_text(json.dumps(counts) + "\n")
        aside.replace(self.file)
