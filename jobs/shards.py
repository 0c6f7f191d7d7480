"""Work that is cut into shards: which are meant, where they run, and one of them under way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mcn.progress import Progress
from mcn.root import Root
from mcn.stop import StopRequest, stop_on_signal
from slurm.array import Array
from slurm.board.sources import Sources
from slurm.board.states import states_of
from slurm.controller import SlurmError
from slurm.environment import current_task
from slurm.launch import Step, Target, launch_array, own_command
from slurm.states.judgement import ended_short
from slurm.submission import StepFolder

FAILED = "failed"


def step_of(root: Root, name: str, benchmark: str | None = None) -> Step:
    """This command, as a step whose logs lie below the root."""
    folder = root.logs / (f"{name}-{benchmark}" if benchmark else name)
    return Step(StepFolder(folder), own_command())


def shards_asked_for(
    array: str | None, num_shards: int, step: Step
) -> tuple[list[int], int | None]:
    """The shards of a plan that `--array` names, all without one; and how many may run at once.

    Raises:
        ValueError: It names none of the plan's.
        SlurmError: `failed` was asked for, and SLURM cannot be.
    """
    if array is None:
        return list(range(num_shards)), None
    if array == FAILED:
        return _shards_that_ended_short(step), None
    parsed = Array.parse(array)
    shards = [index for index in parsed.indices if index < num_shards]
    if parsed.indices and not shards:
        raise ValueError(f"--array {array}: the plan has {num_shards} shards, numbered from 0")
    if len(shards) < len(parsed.indices):
        print(f"--array {array}: the plan has {num_shards} shards, the other numbers name none")
    return shards, parsed.max_running


def _shards_that_ended_short(step: Step) -> list[int]:
    answers = Sources().look([step.folder])
    if answers.is_queue_missing:
        raise SlurmError(f"--array {FAILED}: {answers.complaints[0]}; nothing was submitted")
    return ended_short(states_of(step.folder, answers))


def launch_shards(
    step: Step,
    verb: str,
    asked: Sequence[int],
    left: Sequence[int],
    target: Target,
    *,
    max_running: int | None,
    here: Callable[[int], None],
) -> None:
    """Bring the shards that are left of those asked for to where they are done, or say it is none.

    Args:
        step: What a task runs.
        verb: What is done with videos.
        asked: Shards that the user means.
        left: Those of them that are not done.
        target: Where.
        max_running: How many tasks may run at once.
        here: Does one shard in this process.
    """
    if left:
        launch_array(step, left, target, max_running=max_running, here=here)
    else:
        print(f"{step.folder.path.name}: nothing left to {verb} in {len(asked)} shards")


@contextmanager
def shard_under_way(label: str, num_videos: int) -> Iterator[tuple[Progress, StopRequest]]:
    """Its progress, for its task's file too where it is one, and whether it was asked to stop."""
    task = current_task()
    file = task.progress if task else None
    with (
        stop_on_signal() as stop,
        Progress(label, total=num_videos, unit="videos", file=file) as progress,
    ):
        yield progress, stop
