"""Submits again: what ended short, and what still waits but was overtaken by a later launch."""

import dataclasses
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from slurm.controller import call, user_name
from slurm.submission import Manifest, StepFolder, Submission
from slurm.submit import QueuedTask, submit, tasks_in_queue

PENDING = "PENDING"


def resubmit(
    folder: StepFolder,
    indices: Collection[int],
    *,
    exclude: str | None = None,
    dependencies: Mapping[str, str | None] | None = None,
) -> list[str]:
    """Submit shards again as they were submitted last; returns the ids of the jobs that do them.

    Args:
        folder: The step.
        indices: Shards.
        exclude: Nodes not to use; by default those that were excluded before.
        dependencies: By what they waited for last, what they wait for now, both in the notation of
            sbatch; by default nothing, for that has ended one way or another.

    Raises:
        SlurmError: SLURM gave no answer or refused; the message says what it has taken.
    """
    newest = folder.newest_of_each_task()
    shards_of: dict[Path, list[int]] = defaultdict(list)
    for index in sorted(indices):
        shards_of[newest[index].path].append(index)
    job_ids = []
    for path, shards in shards_of.items():
        manifest = Submission.read(path).manifest
        before = manifest.shape.dependency
        after = (dependencies or {}).get(before) if before else None
        job_ids += submit(folder, again(manifest, shards, after=after, exclude=exclude))
    return job_ids


def again(
    manifest: Manifest, indices: Collection[int], *, after: str | None, exclude: str | None = None
) -> Manifest:
    """The same for some of its shards, by this user and now.

    Args:
        manifest: What was asked for before.
        indices: Shards, in rising order.
        after: Jobs to wait for, in the notation of sbatch.
        exclude: Nodes not to use; by default those that were excluded before.
    """
    resources = manifest.resources
    return dataclasses.replace(
        manifest,
        indices=tuple(indices),
        shape=dataclasses.replace(manifest.shape, dependency=after),
        resources=dataclasses.replace(resources, exclude=exclude or resources.exclude),
        user=user_name(),
        submitted_at=time.time(),
    )


def submit_instead(folder: StepFolder, manifest: Manifest) -> list[str]:
    """Submit a job; one of the same step that waits to do something else, or too early, goes first.

    Returns the ids of the jobs that do it, as `submit` does.

    Raises:
        SlurmError: SLURM gave no answer or refused; the message says what it has taken.
    """
    for queued in tasks_in_queue(folder.submissions()).values():
        if not _is_overtaken(queued, manifest):
            continue
        if queued.entry.state == PENDING:
            # One that begins at this moment is left alone.
            call("scancel", f"--state={PENDING}", queued.job_id)
            print(f"{manifest.step}: {queued.job_id} has not begun, and gives way to a later one")
        else:
            print(
                f"{manifest.step}: {queued.job_id} does what was asked for before; once it has "
                "ended, give this command again"
            )
    return submit(folder, manifest)


def _is_overtaken(queued: QueuedTask, manifest: Manifest) -> bool:
    """Whether it would do something else, or not wait for all that is to be waited for."""
    before = queued.submission.manifest
    is_too_early = not _waited_for(manifest) <= _waited_for(before)
    return before.command != manifest.command or is_too_early


def _waited_for(manifest: Manifest) -> set[str]:
    dependency = manifest.shape.dependency
    return set(dependency.split(":")) if dependency else set()
