"""Tasks that ended short, grouped by cause, with an example each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slurm.array import range_text
from slurm.board.task_log import last_line
from slurm.states.task_state import TaskState

UNKNOWN_CAUSE = "no word"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """All tasks of a step that ended short for the same cause."""

    cause: str
    tasks: int
    shards: str
    """As SLURM writes them: `3,7,20-29`."""
    states: list[str]
    """What SLURM calls their ends."""
    example_log: str
    """Path of the log of one of them; empty where none has left any."""
    last_line: str
    """How it ends."""


def group_by_cause(states: Mapping[int, TaskState], short: Sequence[int]) -> list[Failure]:
    """The failures of a step, the most frequent cause first."""
    shards: dict[str, list[int]] = defaultdict(list)
    for index in short:
        shards[states[index].cause or UNKNOWN_CAUSE].append(index)
    failures = [_failure(cause, [states[i] for i in sorted(of)]) for cause, of in shards.items()]
    return sorted(failures, key=lambda failure: -failure.tasks)


def _failure(cause: str, tasks: Sequence[TaskState]) -> Failure:
    lines = ((task, *last_line(task)) for task in tasks)
    # The first that says anything; a task that never began has no log.
    example = next(((path, line) for _, path, line in lines if line), None)
    return Failure(
        cause=cause,
        tasks=len(tasks),
        shards=range_text(task.index for task in tasks),
        states=sorted({task.state for task in tasks}),
        example_log=str(example[0]) if example else "",
        last_line=example[1] if example else "",
    )
