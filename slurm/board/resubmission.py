"""What ended short, submitted again: that and nothing else, each after what it waits for."""

from collections.abc import Collection, Mapping, Sequence

from slurm.array import range_text
from slurm.board.dependencies import Dependencies
from slurm.board.sources import was_given_to_slurm
from slurm.board.troubles import LAUNCH_AGAIN
from slurm.controller import QueueEntry
from slurm.resubmit import again, resubmit, submit_instead
from slurm.states.judgement import PENDING, ended_short
from slurm.states.task_state import TaskState
from slurm.submission import StepFolder


def resubmit_short(
    states: Mapping[StepFolder, Mapping[int, TaskState]],
    queue: Sequence[QueueEntry],
    *,
    chosen: Collection[StepFolder],
    exclude: str | None,
    is_dry_run: bool,
) -> None:
    """Submit the shards whose tasks ended short, and print which.

    What they waited for comes first, and jobs that wait for it in the queue wait for the new ones.

    Args:
        states: Of each shard of each step.
        queue: What `squeue` says.
        chosen: Steps to submit again.
        exclude: Nodes not to use; by default those that were excluded before.
        is_dry_run: Print what would be done, and do nothing.

    Raises:
        SlurmError: SLURM gave no answer or refused; the message says what it has taken.
        ValueError: A chosen step needs another, which ended short too and is not chosen.
    """
    dependencies = Dependencies(states, queue)
    for step in dependencies.in_order():
        if step in chosen:
            _resubmit_step(step, states[step], dependencies, exclude, is_dry_run=is_dry_run)
        for state in states[step].values():
            if state.state == PENDING and not state.submission.manifest.is_array:
                _let_wait(step, state, dependencies, is_dry_run=is_dry_run)


def _resubmit_step(
    step: StepFolder,
    states: Mapping[int, TaskState],
    dependencies: Dependencies,
    exclude: str | None,
    *,
    is_dry_run: bool,
) -> None:
    name = step.path.name
    short = ended_short(states)
    here = [i for i in short if not was_given_to_slurm(states[i].submission)]
    given = [i for i in short if i not in here]
    if here:
        print(
            f"{name}: shards {range_text(here)} ended short on a machine without SLURM; "
            f"{LAUNCH_AGAIN}"
        )
    if not short:
        print(f"{name}: nothing to submit again in {len(states)} tasks")
    if not given:
        return
    submissions = {states[i].submission.path: states[i].submission for i in given}.values()
    after = {s.manifest.shape.dependency or "": dependencies.now(s) for s in submissions}
    what = f"{len(given)} tasks, shards {range_text(given)}"
    for job in filter(None, after.values()):
        what += f", {job}"
    if is_dry_run:
        print(f"{name}: would submit again {what}")
        dependencies.note_again(step, [f"ID_OF_{name}"])
        return
    print(f"{name}: submitting again {what}")
    dependencies.note_again(step, resubmit(step, given, exclude=exclude, dependencies=after))


def _let_wait(
    step: StepFolder, state: TaskState, dependencies: Dependencies, *, is_dry_run: bool
) -> None:
    """Let a job of the queue wait for what was submitted again since."""
    if not dependencies.is_outdated(state.submission):
        return
    manifest, after = state.submission.manifest, dependencies.now(state.submission)
    if is_dry_run:
        print(f"{step.path.name}: {state.job_id} would give way to one that waits, {after}")
        return
    submit_instead(step, again(manifest, manifest.indices, after=after))
