"""How every command starts: arguments by tyro, and errors for people instead of stack traces."""

import os
import sys
from collections.abc import Callable

from slurm.array import Array

SHOW_TRACEBACKS = "MCN_TRACEBACK"


def run_command(command: Callable[[], None]) -> None:
    """Run it; a mistake that its user can mend ends in one line and status 1.

    With MCN_TRACEBACK=1 in the environment the stack trace is shown.
    """
    try:
        command()
    except (ValueError, OSError) as error:
        if os.environ.get(SHOW_TRACEBACKS):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def shards_asked_for(array: str | None, num_shards: int) -> list[int]:
    """The shards of a plan that `--array` names; all of them without one.

    Raises:
        ValueError: It names none of the plan's.
    """
    if array is None:
        return list(range(num_shards))
    asked = Array.parse(array).indices
    shards = [index for index in asked if index < num_shards]
    if asked and not shards:
        raise ValueError(f"--array {array}: the plan has {num_shards} shards, numbered from 0")
    if len(shards) < len(asked):
        print(f"--array {array}: the plan has {num_shards} shards, the other numbers name none")
    return shards
