"""What ended short, submitted again: that and nothing else."""

from collections.abc import Mapping

from slurm.array import range_text
from slurm.board.sources import was_given_to_slurm
from slurm.board.troubles import LAUNCH_AGAIN
from slurm.states.judgement import ended_short
from slurm.states.task_state import TaskState
from slurm.submission import StepFolder
from slurm.submit import resubmit


def resubmit_short(
    step: StepFolder,
    states: Mapping[int, TaskState],
    *,
    exclude: str | None,
    is_dry_run: bool,
) -> None:
    """Submit the shards of a step whose tasks ended short, and print which.

    Args:
        step: The step.
        states: Of each of its shards.
        exclude: Nodes not to use; by default those that were excluded before.
        is_dry_run: Print what would be done, and do nothing.

    Raises:
        SlurmError: SLURM gave no answer or refused; the message says what it has taken.
    """
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
    if is_dry_run:
        print(f"{name}: would submit again {len(given)} tasks, shards {range_text(given)}")
        return
    print(f"{name}: submitting again {len(given)} tasks, shards {range_text(given)}")
    resubmit(step, given, exclude=exclude)
