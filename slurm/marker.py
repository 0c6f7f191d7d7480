"""A task's own word on what became of it: a line for each event, in a file that it alone writes."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

BEGAN = "began"
SIGNALLED = "signalled"
ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a task."""

    kind: str
    """`began`, `signalled` or `ended`."""
    job_id: str
    """As SLURM writes it: `123_4`; on this machine `local-PID`."""
    restart: int
    """How often SLURM has started this job again, from 0."""
    seconds: float
    """When, since 1970, by the clock of the node."""
    node: str
    pid: int
    signal: str = ""
    """The signal's name, where one came or ended it."""
    status: int | None = None
    """Exit status, once ended; None where a signal ended it."""
    cpu_seconds: float = 0.0
    """Processor time of an ended task and its children."""
    max_memory_bytes: int = 0
    """The most that one of its processes held."""
    num_cpus: int = 0
    """Cores that it may use."""
    done: int | None = None
    """How far it had come once it ended, in its own count; None where it does not say."""


def append_event(path: Path, event: Event) -> None:
    """Add a line, on disk when this returns."""
    # The first line break ends a line that a crash has cut off.
    line = f"\n{json.dumps(asdict(event))}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_events(path: Path) -> list[Event]:
    """What is known of a task, the oldest first.

    A line that is none is left out: a crash has cut it off, a network file system has left a hole
    in it, or two nodes have written at once.
    """
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [event for line in lines if (event := _event(line)) is not None]


def _event(line: str) -> Event | None:
    try:
        said = json.loads(line.strip("\0"))
        return Event(**{name: said[name] for name in Event.__annotations__ if name in said})
    except (ValueError, TypeError, AttributeError):
        return None
