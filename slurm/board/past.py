"""What earlier tasks of a step took, by their own words: what a later launch is judged by."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slurm.board.progress import read_progress
from slurm.submission import StepFolder, Submission


@dataclass(frozen=True, kw_only=True)
class PastTask:
    """The last start of a task."""

    index: int
    share: float
    """Of its work that this start did."""
    num_skipped: int
    """Units of its work that had been done before."""
    seconds: float
    cpus: int
    gpus: int


def past_tasks(
    step: StepFolder, *, is_alike: Callable[[Sequence[str]], bool]
) -> Iterator[PastTask]:
    """Tasks that did some work, of the submissions whose command is alike."""
    for submission in step.submissions():
        if is_alike(submission.manifest.command):
            yield from tasks_of(submission)


def tasks_of(submission: Submission) -> Iterator[PastTask]:
    """Those of one submission that did some work."""
    resources = submission.manifest.resources
    for index in submission.manifest.indices:
        said = read_progress(submission.progress(index))
        if said is not None and said.total and said.done > said.skipped:
            yield PastTask(
                index=index,
                num_skipped=said.skipped,
                share=(said.done - said.skipped) / said.total,
                seconds=said.updated_at - said.started_at,
                cpus=resources.cpus_per_task,
                gpus=resources.gpus_per_task,
            )
