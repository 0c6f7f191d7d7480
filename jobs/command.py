"""How every command starts: arguments by tyro, errors for people, and work cut into shards."""

import os
import sys
from collections.abc import Callable

from mcn.root import Root
from mcn.stop import StoppedEarlyError, raise_on_signal
from mcn.store.holder import OWNER_VARIABLE
from mcn.store.lease import LeaseError
from slurm.array import Array
from slurm.board.sources import Sources
from slurm.board.states import states_of
from slurm.controller import SlurmError
from slurm.environment import STOPPED_EARLY, current_task
from slurm.launch import Step, own_command
from slurm.states.judgement import ended_short
from slurm.submission import StepFolder

FAILED = "failed"
SHOW_TRACEBACKS = "MCN_TRACEBACK"


def run_command(command: Callable[[], None]) -> None:
    """Run it; a mistake that its user can mend ends in one line and status 1.

    Work that was asked to stop, and has saved what it had, ends with status 75. With
    MCN_TRACEBACK=1 in the environment the stack trace is shown.
    """
    try:
        if (task := current_task()) is not None:
            os.environ[OWNER_VARIABLE] = task.owner
            raise_on_signal()
        command()
    except StoppedEarlyError as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(STOPPED_EARLY)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, FloatingPointError, LeaseError) as error:
        if os.environ.get(SHOW_TRACEBACKS):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


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
