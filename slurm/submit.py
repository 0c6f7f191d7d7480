"""Submits what is not yet in the queue, at most once whatever happens on the way.

A submission's manifest is on disk, with a number of its own, before sbatch is called, and its name
is the job's comment: where sbatch gave no answer, the queue is asked later whether it has taken it.
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from slurm.controller import QueueEntry, SlurmError, call, max_array_size, squeue
from slurm.script import sbatch_script
from slurm.submission import (
    CLUSTER_FOLLOWS,
    Manifest,
    StepFolder,
    Submission,
    replace_text,
    withdraw,
)

# Until then sbatch may still be on its way with a submission of which nobody has an answer.
SECONDS_UNTIL_KNOWN = 180.0
TRIES = 5

# States after which a job does nothing any more; a requeued one is PENDING.
FINAL_STATES = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)


def submit(folder: StepFolder, manifest: Manifest) -> list[str]:
    """Submit those tasks of a manifest that the queue has not, as few arrays as the site allows.

    Returns the ids of the jobs that do the tasks: the new ones, or else those in the queue.

    Raises:
        SlurmError: SLURM gave no answer or refused; the message says what it has taken.
    """
    size = max_array_size() if manifest.is_array else 1
    for _ in range(TRIES):
        submissions = folder.submissions()
        in_queue = tasks_in_queue(submissions)
        indices = [index for index in manifest.indices if index not in in_queue]
        if len(indices) < len(manifest.indices):
            waiting = len(manifest.indices) - len(indices)
            print(f"{manifest.step}: {waiting} of {len(manifest.indices)} are in the queue already")
        if not indices:
            return sorted({in_queue[index].job_id for index in manifest.indices})
        left = dataclasses.replace(
            manifest, indices=tuple(indices), chunks=chunks(len(indices), size)
        )
        try:
            submission = folder.begin(left, submissions)
        except FileExistsError:  # another launch was faster: look at what it has submitted
            continue
        return _submit_chunks(submission)
    raise SlurmError(f"{folder.path}: other launches of {manifest.step} are under way; try again")


def print_scripts(folder: StepFolder, manifest: Manifest) -> None:
    """Print what sbatch would be given for all tasks of a manifest; submits and writes nothing."""
    size = max_array_size() if manifest.is_array else 1
    split = dataclasses.replace(manifest, chunks=chunks(len(manifest.indices), size))
    submission = Submission(folder.path / "submissions" / "0000", split)
    for chunk, (first, stop) in enumerate(split.chunks):
        shards = f", shards {split.indices[first]} to {split.indices[stop - 1]}"
        print(f"# {manifest.step}{shards if manifest.is_array else ''}")
        before = [f"ID_OF_ARRAY_{number}" for number in range(chunk)]
        print(sbatch_script(submission, chunk, after=_after(split, before)))


def chunks(num_tasks: int, size: int) -> tuple[tuple[int, int], ...]:
    """Half-open ranges of at most `size`: MaxArraySize caps the index, so each begins at 0."""
    return tuple((i, min(i + size, num_tasks)) for i in range(0, num_tasks, size))


@dataclass(frozen=True)
class QueuedTask:
    """A task that SLURM still has something to do with."""

    entry: QueueEntry
    submission: Submission

    @property
    def job_id(self) -> str:
        """Of the whole array, where it is a task of one."""
        return self.entry.job_id.split("_")[0]


def tasks_in_queue(submissions: Sequence[Submission]) -> dict[int, QueuedTask]:
    """What SLURM still has something to do with, by shard.

    Raises:
        SlurmError: SLURM gave no answer, or a launch has not yet heard from sbatch.
    """
    given = [s for s in submissions if s.manifest.scheduler == "slurm"]
    # Before the queue is asked: of a job whose id came later its answer may know nothing yet.
    known = [submission.job_ids() for submission in given]
    ages = [
        0.0 if len(answered) == len(submission.manifest.chunks) else _age(submission)
        for submission, answered in zip(given, known, strict=True)
    ]
    queue = squeue({submission.manifest.user for submission in submissions})
    live = {entry.job_id: entry for entry in queue if entry.state not in FINAL_STATES}
    names = {entry.comment: entry.job_id.split("_")[0] for entry in live.values()}
    in_queue: dict[int, QueuedTask] = {}
    for submission, answered, age in zip(given, known, ages, strict=True):
        for chunk in range(len(submission.manifest.chunks)):
            if chunk in answered:
                continue
            job_id = names.get(submission.comment(chunk))
            if job_id is not None:
                submission.record_job(chunk, job_id)
            elif age < SECONDS_UNTIL_KNOWN:
                raise SlurmError(
                    f"{submission.path} called sbatch {age:.0f} s ago, and has no answer yet: "
                    f"whether SLURM has taken it is known in {SECONDS_UNTIL_KNOWN - age:.0f} s; "
                    "nothing was submitted"
                )
        for index, chunk, task_id in submission.tasks():
            entry = live.get(task_id)
            if entry is not None and submission.may_be(chunk, entry.comment):
                in_queue[index] = QueuedTask(entry, submission)
    return in_queue


def _age(submission: Submission) -> float:
    """Seconds since sbatch was called for any of it.

    Its time is that of files; so is the present, for clocks of machines differ by minutes.
    """
    with NamedTemporaryFile(dir=submission.path.parent) as file:
        os.utime(file.name)  # without a time, a file server takes its own
        now = Path(file.name).stat().st_mtime
    return max(0.0, now - submission.touched_at())


def _submit_chunks(submission: Submission) -> list[str]:
    manifest = submission.manifest
    job_ids: list[str] = []
    for chunk, (first, _) in enumerate(manifest.chunks):
        path = submission.script(chunk)
        # The time of this file says when sbatch was called: see `Submission.touched_at`.
        replace_text(path, sbatch_script(submission, chunk, after=_after(manifest, job_ids)))
        try:
            job_id, cluster = _sbatch(str(path))
        except SlurmError as error:
            _explain(error, submission, manifest.indices[:first], job_ids)
        submission.record_job(chunk, job_id, cluster)
        job_ids.append(job_id)
    what = f"{len(manifest.indices)} tasks" if manifest.is_array else "a job"
    print(
        f"{manifest.step}: submitted {what} as {', '.join(job_ids)}; logs in "
        f"{submission.step_folder}"
    )
    return job_ids


def _after(manifest: Manifest, job_ids: Sequence[str]) -> str | None:
    """What the next array waits for: where fewer tasks may run than there are arrays, for one."""
    most = manifest.shape.max_running
    if most is not None and most <= len(job_ids):
        return f"afterany:{job_ids[-most]}"
    return manifest.shape.dependency


def _sbatch(path: str) -> tuple[str, str]:
    """Submit a script; returns the job's id, and the cluster where SLURM names it."""
    answer = call("sbatch", "--parsable", path).strip()
    job_id, _, cluster = answer.partition(CLUSTER_FOLLOWS)
    if not job_id.isdigit():
        raise SlurmError(f"sbatch answered {answer[:200]!r}, which is no job's id")
    return job_id, cluster


def _explain(
    error: SlurmError, submission: Submission, taken: Sequence[int], job_ids: Sequence[str]
) -> None:
    """Raise what happened, having cleared away what SLURM has surely not taken."""
    if not job_ids and error.is_refusal:
        withdraw(submission)
        raise SlurmError(f"{error}; nothing was submitted") from error
    surely_not_taken = len(job_ids) + (0 if error.is_refusal else 1)
    for chunk in range(surely_not_taken, len(submission.manifest.chunks)):
        submission.record_job(chunk, "")
    done = f"{len(taken)} tasks were submitted as {', '.join(job_ids)}; " if job_ids else ""
    raise SlurmError(
        f"{error}; {done}run the same command again, what SLURM has is not submitted twice"
    ) from error
