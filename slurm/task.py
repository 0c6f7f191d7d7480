"""Runs in every task: `python -m slurm.task FOLDER CHUNK` starts its command and keeps its books.

A signal may come while the command still imports its libraries, and would end it before it could
listen. So the command begins deaf to it, and is told again every second until it has ended. A
command that listens is to go deaf once it has heard: see `mcn.stop`, which does all this.
"""

import argparse
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

from slurm.environment import STOPPED_EARLY, Place, Task
from slurm.marker import BEGAN, ENDED, SIGNALLED, Event, append_event
from slurm.parent import end_with_parent
from slurm.rendezvous import meet
from slurm.submission import Submission

# SIGTERM ends jobs, SIGUSR2 announces a preemption or the time limit.
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
SECONDS_BETWEEN_CALLS = 1.0


def run_task(submission: Submission, index: int, place: Place) -> int:
    """Run the command for one shard; returns its exit status, 128 + N where signal N ended it."""
    keeper = _Keeper(submission, index, place)
    for number in FORWARDED:
        signal.signal(number, keeper.forward)
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
        self.child: subprocess.Popen[bytes] | None = None
        self.told = threading.Event()
        self.signal = 0

    def forward(self, number: int, frame: FrameType | None) -> None:
        if not self.told.is_set():
            self.note(SIGNALLED, signal_name=signal.Signals(number).name)
        self.signal = number
        self.told.set()
        if self.child is not None:
            self.child.send_signal(number)

    def work(self) -> int:
        """Start the command and wait for it; negative where a signal ended it."""
        manifest, place = self.submission.manifest, self.place
        if place.num_ranks == 1:
            self.told.wait(random.Random(place.job_id).uniform(0, manifest.jitter_seconds))
        task = Task(self.index, place.owner, self.submission.progress(self.index))
        ranks = meet(self.submission.path / "rendezvous", place)
        cpus = {"CPUS_PER_RANK": str(place.cpus)} if place.cpus else {}
        environment = os.environ | manifest.environment | task.to_environment() | ranks | cpus
        with self.submission.log(self.index, rank=place.rank).open("ab", buffering=0) as log:
            log.write(self._headline().encode())
            if self.told.is_set():
                return STOPPED_EARLY
            self.child = subprocess.Popen(
                manifest.command,
                cwd=manifest.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_begin_deaf,
            )
            while True:
                try:
                    return self.child.wait(timeout=SECONDS_BETWEEN_CALLS)
                except subprocess.TimeoutExpired:
                    if self.told.is_set():
                        self.child.send_signal(self.signal)

    def note(self, kind: str, *, signal_name: str = "") -> None:
        """Put an event of this moment into the marker; the first rank speaks for all."""
        if self.place.rank == 0:
            append_event(self.marker, self._event(kind, signal=signal_name))

    def note_end(self, status: int) -> None:
        """Put into the marker how the command ended and what it used."""
        if self.place.rank == 0:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            event = self._event(
                ENDED,
                status=status if status >= 0 else None,
                signal=signal.Signals(-status).name if status < 0 else "",
                cpu_seconds=used.ru_utime + used.ru_stime,
                max_memory_bytes=used.ru_maxrss * 1024,
            )
            append_event(self.marker, event)

    @property
    def marker(self) -> Path:
        return self.submission.marker(self.index)

    def _event(self, kind: str, **known: Any) -> Event:
        return Event(
            kind=kind,
            job_id=self.place.job_id,
            restart=self.place.restart,
            seconds=time.time(),
            node=self.place.node,
            pid=os.getpid(),
            num_cpus=len(os.sched_getaffinity(0)),
            **known,
        )

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
    first, _ = submission.manifest.chunks[arguments.chunk]
    offset = place.array_index if arguments.place is None else arguments.place
    index = submission.manifest.indices[first + offset]
    sys.exit(run_task(submission, index, place))


if __name__ == "__main__":
    main()
