"""Daemons of a testbed: started in a session of their own, known by their pid files."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slurm.testbed.packages import program
from slurm.testbed.processes import Process, find_process

POLL_SECONDS = 0.05
# Long, for a machine that is busy: what fails for good is told by its end.
SECONDS_TO_BE_READY = 120.0


@dataclass(frozen=True)
class Daemons:
    """The daemons whose files are in this folder; they outlive who started them."""

    folder: Path

    def start(
        self, name: str, command: list[str], *, working_folder: Path, environment: dict[str, str]
    ) -> None:
        """Start `command` as the daemon of this name, with its output in logs/NAME.out.

        Args:
            name: One that no running daemon has.
            command: Program and arguments; it has to stay in the foreground.
            working_folder: Where it runs.
            environment: Added to that of this process.
        """
        output = str(self._output(name))
        # subprocess would complain of a daemon that goes on when its object is gone.
        pid = os.posix_spawn(
            "/usr/bin/env",
            ["env", f"--chdir={working_folder}", program(command[0]), *command[1:]],
            os.environ | environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            # Python passes over these, and what a daemon starts would too.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
        process = find_process(pid)
        if process is None:
            raise ChildProcessError(f"{name} ended; {self._last_words(name)}")
        self._record(name).write_text(json.dumps([process.pid, process.started_ticks]))

    def find(self, name: str) -> Process | None:
        """The running daemon of this name."""
        return self.running().get(name)

    def running(self) -> dict[str, Process]:
        """The daemons that run, by name; files left by others that ended are passed over."""
        daemons = {}
        for path in sorted(self.folder.glob("run/*.daemon")):
            try:
                pid, started_ticks = json.loads(path.read_text())
            except ValueError:  # killed while it was written
                continue
            process = Process(pid, started_ticks)
            if process.is_running:
                daemons[path.stem] = process
        return daemons

    def wait_for(self, name: str, complaint: Callable[[], str]) -> None:
        """Return once there is no complaint about the daemon, that is, an empty one.

        Raises:
            ChildProcessError: It ended, or took longer than that; with the end of its output.
        """
        deadline = time.monotonic() + SECONDS_TO_BE_READY
        while said := complaint():
            if self.find(name) is None:
                raise ChildProcessError(f"{name} ended; {self._last_words(name)}")
            if time.monotonic() > deadline:
                raise ChildProcessError(
                    f"{name} was not ready after {SECONDS_TO_BE_READY:g} s: {said}; "
                    f"{self._last_words(name)}"
                )
            time.sleep(POLL_SECONDS)

    def _last_words(self, name: str) -> str:
        lines = self._output(name).read_text(errors="replace").splitlines()
        return f"{self._output(name)} ends with:\n" + "\n".join(lines[-10:])

    def _record(self, name: str) -> Path:
        return self.folder / "run" / f"{name}.daemon"

    def _output(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.out"
