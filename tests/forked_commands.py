"""Runs jobs/extract.py again and again without the seconds that its imports take.

python -m tests.forked_commands      has imported everything; forks a process for each line of
                                     arguments (JSON) and says its id, then how it ended
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from mcn.root import REPOSITORY


class ForkedCommands:
    """The server, seen from a test."""

    def __init__(self, log: Path) -> None:
        """Starts it; what the commands say goes to the log."""
        self.log = log
        with log.open("a") as file:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.forked_commands"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                cwd=REPOSITORY,
            )

    def start(self, *arguments: str) -> int:
        """The id of a process in a session of its own, which runs the command."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(arguments) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def status(self) -> int:
        """How the process that was started last has ended: negative where a signal did it."""
        return self._answer()

    def run(self, *arguments: str) -> None:
        self.start(*arguments)
        assert self.status() == 0, self.log.read_text()

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

    def __enter__(self) -> "ForkedCommands":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def processes_of(session: int) -> list[int]:
    """Those of a session that are there, the dead that nobody has missed yet left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number, *_ = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # gone meanwhile
            continue
        if int(number) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_until_gone(session: int, *, seconds: float) -> None:
    """Returns when a session has no process any more."""
    deadline = time.monotonic() + seconds
    while left := processes_of(session):
        assert time.monotonic() < deadline, f"processes {left} have outlived theirs"
        time.sleep(0.005)


def serve() -> None:
    """Fork a process for each line."""
    import tyro

    import jobs.extract_media  # noqa: F401  (what a task imports, before there is one)
    from jobs.command import run_command
    from jobs.extract import Arguments, main

    answers = os.dup(1)
    os.dup2(2, 1)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.setsid()
            os.close(answers)
            sys.argv = [str(REPOSITORY / "jobs" / "extract.py"), *json.loads(line)]
            status = 1
            try:
                run_command(lambda: main(tyro.cli(Arguments)))
                status = 0
            finally:
                sys.stdout.flush()
                os._exit(status)
        os.write(answers, f"{child}\n".encode())
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(answers, f"{ended}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()
