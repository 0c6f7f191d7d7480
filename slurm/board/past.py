"""What earlier tasks of a step took, by their own words: what a later launch is judged by."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slurm.board.progress import read_progress
from slurm.submission import StepFolder


@dataclass(frozen=True, kw_only=True)
class PastTask:
    """The last start of a task."""

    index: int
    share: float
    """Of its work that this start did."""
    seconds: float
    cpus: int
    gpus: int


def past_tasks(
    step: StepFolder, *, is_alike: Callable[[Sequence[str]], bool] = lambda command: True
) -> Iterator[PastTask]:
    """Tasks that did some work, of the submissions whose command is alike."""
    for submission in step.submissions():
        manifest = submission.manifest
        if not is_alike(manifest.command):
            continue
        for index in manifest.indices:
            said = read_progress(submission.progress(index))
            if said is not None and said.total and said.done > said.skipped:
                yield PastTask(
                    index=index,
                    share=(said.done - said.skipped) / said.total,
                    seconds=said.updated_at - said.started_at,
                    cpus=manifest.resources.cpus_per_task,
                    gpus=manifest.resources.gpus_per_task,
                )
