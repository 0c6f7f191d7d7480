"""Processes as /proc shows them, told apart from later ones with the same id."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, whatever other process gets its id after its end."""

    pid: int
    started_ticks: int
    """When it began, in clock ticks since the machine did."""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended; a zombie has, and if it is ours it goes."""
        entry = _read(self.pid)
        if entry is None or entry.process != self:
            return False
        if entry.has_ended:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return not entry.has_ended

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is still there."""
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(frozen=True)
class Entry:
    """What /proc tells about a process."""

    process: Process
    name: str
    parent: int
    has_ended: bool

    @property
    def working_folder(self) -> Path | None:
        try:
            return Path(f"/proc/{self.process.pid}/cwd").readlink()
        except OSError:
            return None

    @property
    def environment(self) -> dict[str, str]:
        try:
            content = Path(f"/proc/{self.process.pid}/environ").read_bytes()
        except OSError:
            return {}
        pairs = (entry.partition("=") for entry in os.fsdecode(content).split("\0"))
        return {name: value for name, _, value in pairs}


def find_process(pid: int) -> Process | None:
    """The process that has this id now, if it has not ended."""
    entry = _read(pid)
    return None if entry is None or entry.has_ended else entry.process


def all_processes() -> list[Entry]:
    """Every process of the machine that has not ended."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    entries = (_read(pid) for pid in pids)
    return [entry for entry in entries if entry is not None and not entry.has_ended]


def with_descendants(chosen: Iterable[Process], everything: list[Entry]) -> set[Process]:
    """The chosen ones, their children, the children of those, and so on."""
    family = set(chosen)
    while True:
        pids = {process.pid for process in family}
        born = {entry.process for entry in everything if entry.parent in pids} - family
        if not born:
            return family
        family |= born


def end(processes: Iterable[Process], *, patience_seconds: float) -> None:
    """Ask them to end, wait, and end by force those that did not."""
    left = [process for process in processes if process.is_running]
    for process in left:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if process.is_running]
    kill(left)


def kill(processes: Iterable[Process]) -> None:
    """End them all at one moment, and return when they are gone."""
    left = list(processes)
    # Stopped first, lest one of them lives to tell of another's end.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in left:
            process.send(number)
    while left := [process for process in left if process.is_running]:
        time.sleep(0.01)


def _read(pid: int) -> Entry | None:
    try:
        content = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may hold any character, parentheses too.
    before, _, after = content.rpartition(")")
    fields = after.split()
    return Entry(
        process=Process(pid, started_ticks=int(fields[19])),
        name=before.partition("(")[2],
        parent=int(fields[1]),
        has_ended=fields[0] in "ZX",
    )
