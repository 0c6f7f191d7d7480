"""Planning and status at the size of HowTo100M: whole programs, with the memory that they take."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mcn.root import REPOSITORY, Root
from tests.benchmarks.big_root import NUM_VIDEOS, make_root
from tests.benchmarks.result import Result, Row

WANTED = {
    "jobs/status.py --progress": "under 2 s",
    "jobs/status.py": "under 2 s",
    "jobs/download.py --plan": "under 5 s",
    "jobs/extract.py --plan": "under 5 s",
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    num_videos: int
    rounds: int


FULL = Size(num_videos=NUM_VIDEOS, rounds=3)
QUICK = Size(num_videos=5000, rounds=1)


def measure(*, quick: bool) -> list[Result]:
    """Processor time and peak memory of each program."""
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="census") as name:
        root = Root(Path(name))
        make_root(root, num_videos=size.num_videos)
        rows = [_row(command, wanted, root, size.rounds) for command, wanted in WANTED.items()]
    return [
        Result(
            title=f"planning and status, {size.num_videos:,} videos",
            measured="ledgers of two steps, two stores of which half is sealed, no videos; "
            f"processor time from the start of each program to its end, user and system; median "
            f"of {size.rounds} rounds",
            rows=rows,
        )
    ]


def _row(command: str, wanted: str, root: Root, rounds: int) -> Row:
    runs = [_run(command, root) for _ in range(rounds)]
    peak = max(num_bytes for *_, num_bytes in runs)
    wall = median(wall for _, wall, _ in runs)
    return Row(
        name=command,
        value=median(seconds for seconds, *_ in runs),
        unit="s",
        note=f"{wall:.1f} s of wall time, at most {peak / 2**20:,.0f} MiB; wanted: {wanted} and "
        "under 1,024 MiB",
    )


def _run(command: str, root: Root) -> tuple[float, float, int]:
    """Seconds of processor and of wall time, and bytes of memory at most."""
    script, *options = command.split()
    only = ["--modalities", "video", "audio"] if "extract" in script else []
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / script), f"--root={root.path}", *options, *only],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    wall = time.perf_counter() - started
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024
