"""What a launch will cost, by the lengths of its videos, before anything runs."""

import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcn.store.aside import written_aside

ESTIMATE_FILE = "estimate.json"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one shard asks for."""

    amount: float
    """In the unit of the rate: seconds of video, or videos."""
    bytes_read: float
    bytes_written: float
    num_files: int
    """That stay."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How long a task takes."""

    seconds: float | None
    """For one of the unit; None where nobody knows."""
    unit: str
    source: str
    """Where the number comes from."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a launch will cost."""

    rate: Rate
    task_seconds: dict[int, float] | None
    """Of each shard; None where nobody knows."""
    wall_seconds: float | None
    """Of all, so many at once, each begun when one before it ends."""
    tasks_at_once: int
    num_tasks: int
    amount: float
    bytes_read: float
    bytes_written: float
    num_files: int
    cpus_per_task: int
    gpus_per_task: int

    @property
    def task_hours(self) -> float | None:
        return None if self.task_seconds is None else sum(self.task_seconds.values()) / 3600

    def write(self, folder: Path) -> None:
        """Keep it with the logs of its step; the next launch has another."""
        folder.mkdir(parents=True, exist_ok=True)
        with written_aside(folder / ESTIMATE_FILE) as file:
            file.write(json.dumps(asdict(self), indent=1).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> "Estimate | None":
        """That of the last launch of a step; None where there is none that can be understood."""
        try:
            said: dict[str, Any] = json.loads((folder / ESTIMATE_FILE).read_text())
            said["rate"] = Rate(**said["rate"])
            if said["task_seconds"] is not None:
                said["task_seconds"] = {int(k): v for k, v in said["task_seconds"].items()}
            return cls(**said)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def estimate(
    loads: Mapping[int, Load],
    rate: Rate,
    *,
    tasks_at_once: int,
    cpus_per_task: int,
    gpus_per_task: int,
) -> Estimate:
    """What shards cost at a rate."""
    seconds = None
    if rate.seconds is not None:
        seconds = {index: rate.seconds * load.amount for index, load in loads.items()}
    at_once = min(tasks_at_once, len(loads))
    return Estimate(
        rate=rate,
        task_seconds=seconds,
        wall_seconds=None if seconds is None else _wall_seconds(seconds.values(), at_once),
        tasks_at_once=at_once,
        num_tasks=len(loads),
        amount=sum(load.amount for load in loads.values()),
        bytes_read=sum(load.bytes_read for load in loads.values()),
        bytes_written=sum(load.bytes_written for load in loads.values()),
        num_files=sum(load.num_files for load in loads.values()),
        cpus_per_task=cpus_per_task,
        gpus_per_task=gpus_per_task,
    )


def _wall_seconds(task_seconds: Iterable[float], at_once: int) -> float:
    """Until the last task has ended; each takes the place of the first that ends."""
    ends = [0.0] * max(1, at_once)
    for seconds in task_seconds:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)
