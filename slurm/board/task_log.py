"""The end of one task's logs: what it said itself, and what SLURM had to say of it."""

from collections.abc import Iterator
from pathlib import Path

from slurm.states.logs import tail
from slurm.states.task_state import TaskState

LINES_SEARCHED = 20


def logs_of(task: TaskState) -> list[Path]:
    """The logs of a task that say something: its own, then SLURM's of its newest job."""
    return [path for path in _places(task) if path.exists() and path.stat().st_size]


def _places(task: TaskState) -> Iterator[Path]:
    submission = task.submission
    own = submission.log(task.index)
    if submission.manifest.is_array:
        yield own
    else:
        yield from sorted(own.parent.glob("rank*.log"), key=lambda path: (len(path.name), path))
    if task.job_id:
        yield submission.slurm_log(task.job_id)


def last_line(task: TaskState) -> tuple[Path | None, str]:
    """A log of the task, and the last line of it that is not blank."""
    for path in logs_of(task):
        lines = [line for line in tail(path, lines=LINES_SEARCHED).splitlines() if line.strip()]
        if lines:
            return path, lines[-1].strip()
    return None, ""


def print_logs(task: TaskState, *, lines: int) -> None:
    """Print the end of each log of a task, each under its path."""
    paths = logs_of(task)
    if not paths:
        print(f"shard {task.index}: {task.state}, and no log says anything yet")
    for path in paths:
        print(f"==> {path} <==")
        print(tail(path, lines=lines).rstrip("\n"))
