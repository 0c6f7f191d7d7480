"""What a task says of how far it has come: a small file that its command replaces."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TaskProgress:
    """How far a task had come when it last said so; times are seconds since 1970."""

    unit: str
    """What it counts, as `videos`."""
    done: int
    total: int
    skipped: int
    """Of those done, how many were so before this start."""
    frames: int
    """Rows of features that this start has made."""
    started_at: float
    updated_at: float
    note: str = ""
    """What it does beside counting, in its own words."""

    @property
    def per_second(self) -> float:
        """Units done a second by this start."""
        return (self.done - self.skipped) / max(self.updated_at - self.started_at, 1e-3)

    @property
    def frames_per_second(self) -> float:
        return self.frames / max(self.updated_at - self.started_at, 1e-3)


def read_progress(path: Path) -> TaskProgress | None:
    """What the file says; None where there is none, or none that can be understood."""
    try:
        said = json.loads(path.read_text())
        known = TaskProgress.__annotations__
        return TaskProgress(**{name: said[name] for name in known if name in said})
    except (OSError, ValueError, TypeError):
        return None
