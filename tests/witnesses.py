"""What queue, accounts and markers may say of a task, made up for tests."""

import time
from pathlib import Path

from slurm.controller import QueueEntry
from slurm.marker import Event, append_event
from slurm.states.accounts import Account
from slurm.states.judgement import TaskState, task_states
from slurm.submission import StepFolder, Submission
from tests.submissions import manifest_of

SHARD = 42
AN_HOUR_AGO = time.time() - 3600


def submitted(folder: Path, shards: list[int]) -> Submission:
    step = StepFolder(folder / "logs" / "extract")
    submission = step.begin(manifest_of(step, ["true"], shards))
    submission.record_job(0, "7")
    return submission


def event(
    kind: str,
    *,
    job_id: str = "7_0",
    restart: int = 0,
    after: float = 0.0,
    status: int | None = None,
    signal: str = "",
) -> Event:
    """An event an hour ago, and some seconds."""
    return Event(
        kind=kind,
        job_id=job_id,
        restart=restart,
        seconds=AN_HOUR_AGO + after,
        node=f"node{restart + 1}",
        pid=3,
        status=status,
        signal=signal,
        cpu_seconds=30.0,
        max_memory_bytes=2**20,
        num_cpus=1,
    )


def note(
    submission: Submission,
    kind: str,
    *,
    restart: int = 0,
    after: float = 0.0,
    status: int | None = None,
    signal: str = "",
) -> None:
    """Let the task write an event into its marker."""
    noted = event(kind, restart=restart, after=after, status=status, signal=signal)
    append_event(submission.marker(SHARD), noted)


def entry(state: str, job_id: str = "7_0", comment: str = "(null)") -> QueueEntry:
    return QueueEntry(
        job_id=job_id,
        state=state,
        reason="None",
        nodes="node1",
        elapsed="1:00",
        starts_at=stamp(0),
        comment=comment,
    )


def account(state: str, *, ended_after: float = 60.0, restarts: int = 0) -> Account:
    return Account(
        job_id="7_0",
        state=state,
        exit_code="0:0",
        elapsed_seconds=60.0,
        cpu_seconds=90.0,
        num_cpus=2,
        max_memory_bytes=2**30,
        asked_memory_bytes=2**32,
        gpu_utilization=0.5,
        nodes="node1",
        submitted=stamp(-10),
        started=stamp(0),
        ended=stamp(ended_after),
        restarts=restarts,
    )


def stamp(after: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(AN_HOUR_AGO + after))


def judged(
    submission: Submission, *queue: QueueEntry, accounts: list[Account] | None = None
) -> TaskState:
    return task_states(StepFolder(submission.step_folder), queue, accounts)[SHARD]
