"""How every command starts: arguments by tyro, and errors for people instead of stack traces."""

import os
import sys
from collections.abc import Callable

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
