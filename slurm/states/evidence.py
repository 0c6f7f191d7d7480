"""All that is known of each task of a step, before anybody judges it: each file is read once."""

import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from slurm.controller import QueueEntry
from slurm.marker import BEGAN, ENDED, SIGNALLED, Event, read_events
from slurm.states.accounts import Account
from slurm.states.clock import seconds_since_1970
from slurm.submission import StepFolder, Submission


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the queue, the accounts and its own marker say of one task."""

    index: int
    submission: Submission
    """The newest one that holds it."""
    job_id: str
    """Empty where SLURM is not known to have taken it."""
    is_of_slurm: bool
    """Whether it was submitted; else it is a task of this machine."""
    is_answered: bool
    """Whether sbatch has said what it did with its array."""
    cluster: str
    """Where sbatch has submitted it to; empty where SLURM has no more than one to name."""
    entry: QueueEntry | None
    account: Account | None
    """Of its newest start; None where the accounts know of earlier ones only."""
    began: Event | None
    """The newest start, and so below."""
    signalled: Event | None
    ended: Event | None
    is_alive_here: bool
    """Whether it runs, or waits for its turn, on this machine without SLURM."""

    @property
    def num_processes(self) -> int:
        shape = self.submission.manifest.shape
        return shape.nodes * shape.tasks_per_node

    @property
    def ended_well(self) -> bool:
        return self.ended is not None and self.ended.status == 0


def gather(
    step: StepFolder, queue: Sequence[QueueEntry], accounts: Sequence[Account] | None
) -> Iterator[Evidence]:
    """What is known of each shard of a step."""
    slurm = _Answers(queue, accounts or ())
    indices_of: dict[Path, list[int]] = defaultdict(list)
    submissions: dict[Path, Submission] = {}
    for index, submission in step.newest_of_each_task().items():
        submissions[submission.path] = submission
        indices_of[submission.path].append(index)
    for path, indices in indices_of.items():
        yield from _of_submission(submissions[path], indices, slurm)


class _Answers:
    """What SLURM says, by the names that a task may have there."""

    def __init__(self, queue: Sequence[QueueEntry], accounts: Sequence[Account]) -> None:
        self.entries = {entry.job_id: entry for entry in queue}
        self.accounts = {account.job_id: account for account in accounts}
        # By these a job is known whose id sbatch has not told anybody.
        self.places = {(entry.comment, entry.job_id.partition("_")[2]): entry for entry in queue}

    def of(
        self, job_id: str, place: "_Place", submission: Submission, *, has_begun: bool
    ) -> tuple[QueueEntry | None, Account | None]:
        """What the queue and the accounts have on a task."""
        if not job_id:
            return self.places.get((place.comment, place.task)), None

        def of_this(job_id: str) -> QueueEntry | None:
            entry = self.entries.get(job_id)
            return entry if entry and submission.may_be(place.chunk, entry.comment) else None

        entry, account = of_this(job_id), self.accounts.get(job_id)
        if entry or account or has_begun:
            return entry, account
        # Tasks that are cancelled together before they begin have lost their indices.
        array = job_id.partition("_")[0]
        return of_this(array), self.accounts.get(array)


def _of_submission(
    submission: Submission, indices: Sequence[int], slurm: _Answers
) -> Iterator[Evidence]:
    ids, places = submission.task_ids(), _places(submission)
    clusters = submission.clusters()
    is_of_slurm = submission.manifest.scheduler == "slurm"
    starts = {index: _newest_start(events) for index, events in _markers(submission, indices)}
    is_pool_alive = any(_is_alive_here(events) for events in starts.values())
    for index in indices:
        events = starts.get(index, {})
        began = events.get(BEGAN)
        job_id = ids.get(index, began.job_id if began else "")
        place = places[index]
        entry, account = slurm.of(job_id, place, submission, has_begun=began is not None)
        yield Evidence(
            index=index,
            submission=submission,
            job_id=job_id or (entry.job_id if entry else ""),
            is_of_slurm=is_of_slurm,
            is_answered=place.chunk in clusters,
            cluster=clusters.get(place.chunk, ""),
            entry=entry,
            account=_of_newest_start(account, began),
            began=began,
            signalled=events.get(SIGNALLED),
            ended=events.get(ENDED),
            is_alive_here=_is_alive_here(events) if began else is_pool_alive,
        )


class _Place(NamedTuple):
    chunk: int
    comment: str
    task: str
    """Its index in the array, as text; empty where it is none."""


def _places(submission: Submission) -> dict[int, _Place]:
    """Which job of the submission each shard was given to."""
    manifest = submission.manifest
    return {
        manifest.indices[place]: _Place(
            chunk, submission.comment(chunk), str(place - first) if manifest.is_array else ""
        )
        for chunk, (first, stop) in enumerate(manifest.chunks)
        for place in range(first, stop)
    }


def _markers(
    submission: Submission, indices: Iterable[int]
) -> Iterator[tuple[int, Sequence[Event]]]:
    """The events of those tasks that have begun."""
    with os.scandir(submission.path / "tasks") as entries:
        names = {entry.name for entry in entries}
    for index in indices:
        path = submission.marker(index)
        if path.name in names:
            yield index, read_events(path)


def _newest_start(events: Sequence[Event]) -> dict[str, Event]:
    """The last event of each kind of the newest start.

    An earlier one may have spoken after it, from a node that SLURM had given up.
    """
    newest = max((event.restart for event in events), default=0)
    return {event.kind: event for event in events if event.restart == newest}


def _of_newest_start(account: Account | None, began: Event | None) -> Account | None:
    """The account, unless its run had ended when the newest start began."""
    if account is None or began is None:
        return account
    ended = seconds_since_1970(account.ended)
    # SLURM writes whole seconds.
    return account if ended is None or ended + 1 > began.seconds else None


def _is_alive_here(events: dict[str, Event]) -> bool:
    began = events.get(BEGAN)
    if began is None or ENDED in events or not began.job_id.startswith("local-"):
        return False
    try:
        command = Path(f"/proc/{began.pid}/cmdline").read_bytes()
    except OSError:
        return False
    return began.node == socket.gethostname() and b"slurm.task" in command
