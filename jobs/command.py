"""How every command starts: arguments by tyro, and errors for people instead of stack traces."""

import os
import sys
from collections.abc import Callable

from mcn.stop import StoppedEarlyError, raise_on_signal
from mcn.store.holder import OWNER_VARIABLE
from mcn.store.lease import LeaseError
from slurm.environment import STOPPED_EARLY, current_task

SHOW_TRACEBACKS = "MCN_TRACEBACK"


def run_command(command: Callable[[], None]) -> None:
    """Run it; a mistake that its user can mend ends in one line and status 1.

    Work that was asked to stop, and has saved what it had, ends with status 75. With
    MCN_TRACEBACK=1 in the environment the stack trace is shown.
    """
    try:
        if (task := current_task()) is not None:
            os.environ[OWNER_VARIABLE] = task.owner
            # Of several ranks none leaves alone while others wait for it: see stoppable_group.
            if int(os.environ.get("WORLD_SIZE", 1)) == 1:
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
