"""Runs in every task: `python -m slurm.task FOLDER CHUNK` starts its command and keeps its books.

A signal may come while the command still imports its libraries, and would end it before it could
listen. So the command begins deaf to it, and is told again every second until it has ended. A
command that listens is to go deaf once it has heard: see `mcn.stop`, which does all this.
"""

import argparse
import math
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from slurm.board.progress import read_progress
from slurm.environment import STOPPED_EARLY, Place, Task
from slurm.marker import BEGAN, ENDED, SIGNALLED, Event, append_event
from slurm.parent import end_with_parent
from slurm.rendezvous import meeting
from slurm.submission import Submission

# SIGTERM ends jobs, SIGUSR2 announces a preemption or the time limit.
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_CALLS = 1.0
# A file system that hangs or is full keeps nobody from working, from stopping or from ending.
SECONDS_TO_NOTE = 5.0


def run_task(submission: Submission, index: int, place: Place) -> int:
    """Run the command for one shard; returns its exit status, 128 + N where signal N ended it."""
    keeper = _Keeper(submission, index, place)
    for number in FORWARDED:
        signal.signal(number, keeper.hear)
    keeper.note(BEGAN)
    status = keeper.work()
    keeper.note_end(status)
    return 128 - status if status < 0 else status


class _Keeper:
    """Starts the command, passes signals on to it, and notes what happens."""

    def __init__(self, submission: Submission, index: int, place: Place) -> None:
        self.submission = submission
        self.index = index
        self.place = place
        self.signal = 0
        """The last one that came."""
        self.is_signal_noted = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal, and no more: whatever it has interrupted may hold a lock."""
        self.signal = number

    def work(self) -> int:
        """Start the command and wait for it; negative where a signal ended it."""
        manifest, place = self.submission.manifest, self.place
        if place.num_ranks == 1:
            self._wait(random.Random(place.job_id).uniform(0, manifest.jitter_seconds))
        task = Task(self.index, place.owner, self.submission.progress(self.index))
        cpus = {"CPUS_PER_RANK": str(place.cpus)} if place.cpus else {}
        log_path = self.submission.log(self.index, rank=place.rank)
        with (
            meeting(self.submission.path / "rendezvous", place) as ranks,
            log_path.open("ab", buffering=0) as log,
        ):
            log.write(self._headline().encode())
            if self.signal:
                return STOPPED_EARLY
            child = subprocess.Popen(
                manifest.command,
                cwd=manifest.folder,
                env=os.environ | manifest.environment | task.to_environment() | ranks | cpus,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_begin_deaf,
            )
            return self._end_of(child)

    def _wait(self, seconds: float) -> None:
        """Let time pass, unless told to stop."""
        end = time.monotonic() + seconds
        while not self.signal and time.monotonic() < end:
            time.sleep(min(seconds, SECONDS_BETWEEN_LOOKS))

    def _end_of(self, child: subprocess.Popen[bytes]) -> int:
        called_at = -math.inf
        while True:
            try:
                return child.wait(timeout=SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                if self.signal and time.monotonic() - called_at >= SECONDS_BETWEEN_CALLS:
                    called_at = time.monotonic()
                    child.send_signal(self.signal)
                    self._note_signal()

    def _note_signal(self) -> None:
        if not self.is_signal_noted:
            self.is_signal_noted = True
            self.note(SIGNALLED, signal=signal.Signals(self.signal).name)

    def note(self, kind: str, **known: Any) -> None:
        """Put an event of this moment into the marker; where that fails, say so and go on."""
        event = Event(
            kind=kind,
            job_id=self.place.job_id,
            restart=self.place.restart,
            seconds=time.time(),
            node=self.place.node,
            pid=os.getpid(),
            num_cpus=len(os.sched_getaffinity(0)),
            **known,
        )
        writer = threading.Thread(target=self._write, args=(event,), daemon=True)
        writer.start()
        writer.join(SECONDS_TO_NOTE)
        if writer.is_alive():
            self._complain(f"cannot be written within {SECONDS_TO_NOTE:g} s")

    def _write(self, event: Event) -> None:
        try:
            append_event(self.marker, event)
        except OSError as error:
            self._complain(f"cannot be written ({error})")

    def _complain(self, what: str) -> None:
        print(f"{self.marker}: {what}", file=sys.stderr, flush=True)

    def note_end(self, status: int) -> None:
        """Put into the marker how the command ended, what it used and how far it had come."""
        if self.signal:
            self._note_signal()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        progress = read_progress(self.submission.progress(self.index))
        self.note(
            ENDED,
            status=status if status >= 0 else None,
            signal=signal.Signals(-status).name if status < 0 else "",
            cpu_seconds=used.ru_utime + used.ru_stime,
            max_memory_bytes=used.ru_maxrss * 1024,
            done=None if progress is None else progress.done,
        )

    @property
    def marker(self) -> Path:
        return self.submission.marker(self.index, rank=self.place.rank)

    def _headline(self) -> str:
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        place = self.place
        again = f", start {place.restart + 1}" if place.restart else ""
        return f"--- {now} job {place.job_id} on {place.node}{again} ---\n"


def _begin_deaf() -> None:
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    # Where its keeper is killed nobody else would end the command.
    end_with_parent(signal.SIGKILL)


def main() -> None:
    """Find the shard of this task, and run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the submission")
    parser.add_argument("chunk", type=int, help="number of its array")
    parser.add_argument("--place", type=int, help="place in it; by default SLURM's array index")
    arguments = parser.parse_args()
    submission = Submission.read(arguments.folder)
    place = Place.current()
    offset = place.array_index if arguments.place is None else arguments.place
    index = submission.shard_at(arguments.chunk, offset)
    sys.exit(run_task(submission, index, place))


if __name__ == "__main__":
    main()
