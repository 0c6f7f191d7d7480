"""How well that was used which ended tasks had asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from slurm.states.task_state import TaskState


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Shares of what was asked for, 1 for all of it."""

    median: float
    worst: float
    worst_shard: int
    tasks: int
    """How many ended tasks it is known of."""


@dataclass(frozen=True, kw_only=True)
class StepUsage:
    """None where no ended task is known to have used anything."""

    cpu: Usage | None
    memory: Usage | None
    gpu: Usage | None


def usage_of(states: Iterable[TaskState]) -> StepUsage:
    """Of the tasks that have ended."""
    ended = [state for state in states if not state.is_live]
    return StepUsage(
        cpu=_usage((state.cpu_efficiency, state.index) for state in ended),
        memory=_usage((state.memory_efficiency, state.index) for state in ended),
        gpu=_usage((state.gpu_efficiency, state.index) for state in ended),
    )


def _usage(shares: Iterable[tuple[float | None, int]]) -> Usage | None:
    known = [(share, index) for share, index in shares if share is not None]
    if not known:
        return None
    worst, worst_shard = min(known)
    return Usage(
        median=median(share for share, _ in known),
        worst=worst,
        worst_shard=worst_shard,
        tasks=len(known),
    )
