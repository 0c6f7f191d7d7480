"""Asks SLURM, and no more often than is needed: the queue at every look, accounts of what ended.

A look costs one squeue, and one sacct where tasks have left the queue since the last look, however
many tasks there are.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from slurm.controller import QueueEntry, SlurmError, squeue
from slurm.states.accounts import Account, sacct
from slurm.submission import StepFolder, Submission
from slurm.submit import FINAL_STATES

# Accounts may be seconds behind the queue, or not answer; then they are asked at later looks.
LATER_LOOKS = 2


@dataclass(frozen=True)
class Answers:
    """What SLURM said."""

    queue: list[QueueEntry] | None
    """None where it was not asked, or could not be."""
    accounts: list[Account] | None
    """Of all looks so far; None where there are none."""
    complaints: list[str]
    """A sentence for each question that got no answer."""
    is_queue_missing: bool = False
    """Whether the queue had to be asked, and could not be."""


class Sources:
    """SLURM's answers of a series of looks."""

    def __init__(self) -> None:
        self._live: set[str] | None = None
        self._accounts: dict[str, Account] | None = {}
        self._owed: set[str] = set()
        self._looks_left = 0

    def look(self, steps: Iterable[StepFolder]) -> Answers:
        """Ask what has to be known of some steps; nothing where SLURM has none of their tasks."""
        steps = list(steps)
        tasks = _tasks(steps)
        if tasks is None:
            return Answers(None, None, [])
        try:
            queue = squeue({user for step in steps for user in step.users()})
        except SlurmError as error:
            complaint = f"{_in_one_line(error)}; states are as the tasks' own markers say"
            return Answers(None, self._known_accounts(), [complaint], is_queue_missing=True)
        live = {
            entry.job_id
            for entry in queue
            if entry.state not in FINAL_STATES
            and all(s.may_be(chunk, entry.comment) for s, chunk in tasks.get(entry.job_id, ()))
        }
        self._note_ended(set(tasks), live)
        complaints = self._ask_accounts()
        return Answers(queue, self._known_accounts(), complaints)

    def _known_accounts(self) -> list[Account] | None:
        return None if self._accounts is None else list(self._accounts.values())

    def _note_ended(self, job_ids: set[str], live: set[str]) -> None:
        """Owe ourselves the accounts of tasks that have left the queue since the last look."""
        before = job_ids if self._live is None else self._live & job_ids
        left = before - live
        lagging = {
            account.job_id
            for account in (self._accounts or {}).values()
            if account.state not in FINAL_STATES and account.job_id not in live
        }
        if left:
            self._looks_left = 1 + LATER_LOOKS
        self._owed |= {job_id.split("_")[0] for job_id in left | (lagging & job_ids)}
        self._live = live

    def _ask_accounts(self) -> list[str]:
        if self._accounts is None or not self._owed or not self._looks_left:
            return []
        self._looks_left -= 1
        try:
            said = sacct(sorted(self._owed, key=int))
        except SlurmError as error:
            return [f"{_in_one_line(error)}; nobody asked the accounts"]
        self._owed.clear()
        if said is None:
            self._accounts = None
            return []
        self._accounts |= {account.job_id: account for account in said.known}
        return [f"sacct answered {line[:200]!r}, which is left out" for line in said.unread]


def _in_one_line(error: SlurmError) -> str:
    """The last line, which says why; those above it say what was tried."""
    return str(error).strip().splitlines()[-1]


def _tasks(steps: Iterable[StepFolder]) -> dict[str, list[tuple[Submission, int]]] | None:
    """Submission and array of the newest tasks that SLURM has taken, by id.

    None where SLURM was never asked.
    """
    newest = {s.path: s for step in steps for s in step.newest_of_each_task().values()}
    given = [submission for submission in newest.values() if was_given_to_slurm(submission)]
    if not given:
        return None
    tasks: dict[str, list[tuple[Submission, int]]] = defaultdict(list)
    for submission in given:
        for _, chunk, job_id in submission.tasks():
            tasks[job_id].append((submission, chunk))
    return tasks


def was_given_to_slurm(submission: Submission) -> bool:
    """Whether sbatch was called, or about to be; else its tasks are of a pool on some machine."""
    return submission.manifest.scheduler == "slurm"
