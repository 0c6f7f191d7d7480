"""What the jobs of a study wait for, also where that has been submitted again meanwhile."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from slurm.controller import QueueEntry
from slurm.states.task_state import TaskState
from slurm.submission import StepFolder, Submission
from slurm.submit import FINAL_STATES

# A job that waits so is cancelled where what it waits for has failed.
AFTER_SUCCESS = "afterok"


@dataclass(frozen=True)
class _Job:
    step: StepFolder
    submitted_at: float
    indices: list[int]


class Dependencies:
    """Of all steps that were ever launched in a folder of logs."""

    def __init__(
        self, states: Mapping[StepFolder, Mapping[int, TaskState]], queue: Sequence[QueueEntry]
    ) -> None:
        self._states = states
        self._live = {e.job_id.split("_")[0] for e in queue if e.state not in FINAL_STATES}
        self._jobs: dict[str, list[_Job]] = defaultdict(list)
        for job_id, job in _jobs(states):
            self._jobs[job_id].append(job)
        self._again: dict[StepFolder, list[str]] = {}

    def note_again(self, step: StepFolder, job_ids: Sequence[str]) -> None:
        """Keep that these jobs do again what of a step had ended short."""
        self._again[step] = list(job_ids)

    def in_order(self) -> list[StepFolder]:
        """All steps, each after those that it waits for."""
        before = {}
        for step, states in self._states.items():
            submissions = {state.submission.path: state.submission for state in states.values()}
            before[step] = {job.step for s in submissions.values() for job in self._jobs_before(s)}
        return list(TopologicalSorter(before).static_order())

    def is_outdated(self, submission: Submission) -> bool:
        """Whether any of what it waits for was submitted again since."""
        return any(job.step in self._again for job in self._jobs_before(submission))

    def now(self, submission: Submission) -> str | None:
        """What a job is to wait for that does again what this one was to do.

        Done is done; what lives, or was submitted again, is waited for.

        Raises:
            ValueError: It can only come to nothing, since what it needs has ended short.
        """
        dependency = submission.manifest.shape.dependency
        if dependency is None:
            return None
        kind, *job_ids = dependency.split(":")
        now = [new for old in job_ids for new in self._now(kind, old, submission)]
        return ":".join([kind, *dict.fromkeys(now)]) if now else None

    def _now(self, kind: str, job_id: str, submission: Submission) -> list[str]:
        job = self._job(job_id, submission)
        if job is None:
            return [job_id] if job_id in self._live else []
        states = [self._states[job.step][index] for index in job.indices]
        live = [state.job_id.split("_")[0] for state in states if state.is_live]
        name, needed = submission.step_folder.name, job.step.path.name
        if not all(live):
            raise ValueError(
                f"{name} waits for {needed}, and sbatch has not answered yet whether SLURM has "
                "taken that; try again in a few minutes"
            )
        is_short = any(not (state.is_live or state.is_done) for state in states)
        if is_short and job.step not in self._again and kind == AFTER_SUCCESS:
            raise ValueError(
                f"{name} needs {needed}, which ended short: submit both again, with --resubmit "
                "and without --step; or give the command of jobs/study.py again"
            )
        return [*self._again.get(job.step, ()), *live]

    def _jobs_before(self, submission: Submission) -> Iterator[_Job]:
        for job_id in (submission.manifest.shape.dependency or "").split(":")[1:]:
            job = self._job(job_id, submission)
            if job is not None:
                yield job

    def _job(self, job_id: str, submission: Submission) -> _Job | None:
        """The job of this id that a submission waited for: ids may be used again after years."""
        others = [j for j in self._jobs[job_id] if j.step.path != submission.step_folder]
        at = submission.manifest.submitted_at
        return min(others, key=lambda job: abs(job.submitted_at - at), default=None)


def _jobs(
    states: Mapping[StepFolder, Mapping[int, TaskState]],
) -> Iterator[tuple[str, _Job]]:
    """All jobs that SLURM has ever taken, by id."""
    for step in states:
        for submission in step.submissions():
            indices: dict[str, list[int]] = defaultdict(list)
            for index, _, task_id in submission.tasks():
                if index in states[step]:
                    indices[task_id.split("_")[0]].append(index)
            for job_id, of_job in indices.items():
                yield job_id, _Job(step, submission.manifest.submitted_at, of_job)
