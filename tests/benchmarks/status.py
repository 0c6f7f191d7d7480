"""900 tasks on a real SLURM: submitting them, and the screen over them, beside what there is.

Of the tasks 600 are cancelled while they wait, and left behind as if each had begun, said how far
it had come and ended with some last words: the screen then reads as much as it ever does. The
others wait and run. Without the screen a person has `squeue`, which knows nothing of what has
ended, and `sacct`, which is mostly asked task by task.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from mcn.data.ledger import LedgerFile, Outcome
from mcn.data.ledger_columns import leave_columns
from mcn.root import REPOSITORY, Root
from slurm.marker import BEGAN, ENDED, Event, append_event
from slurm.resources import Resources
from slurm.submission import Manifest, StepFolder, Submission
from slurm.submit import submit
from slurm.testbed import MissingPackagesError, Testbed
from tests.benchmarks.result import Result, Row, durations
from tests.benchmarks.timing import ratio, take_turns
from tests.submissions import manifest_of

MAX_ARRAY_SIZE = 1001
VIDEOS_PER_SHARD = 1000
COMMANDS = ("sbatch", "scontrol", "squeue", "sacct")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    num_tasks: int
    num_ended: int
    num_single_calls: int
    rounds: int


FULL = Size(num_tasks=900, num_ended=600, num_single_calls=20, rounds=5)
QUICK = Size(num_tasks=90, num_ended=60, num_single_calls=3, rounds=1)


def measure(*, quick: bool) -> list[Result]:
    """Seconds to submit an array and to look at it, with the number of calls to SLURM."""
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="status") as name:
        testbed = Testbed(Path(name) / "slurm", accounting=True, max_array_size=MAX_ARRAY_SIZE)
        try:
            with testbed, _counted_commands(Path(name), testbed) as calls:
                return _measure(Path(name), testbed, calls, size)
        except MissingPackagesError as error:
            print(f"status is left out: {error}", file=sys.stderr)
            return []


def _measure(folder: Path, testbed: Testbed, calls: Path, size: Size) -> list[Result]:
    root = folder / "root"
    step = StepFolder(root / "logs" / "extract")
    started = time.perf_counter()
    (job_id,) = submit(step, _manifest(step, size))
    seconds_to_submit = time.perf_counter() - started
    calls_to_submit = _counts(calls)
    (submission,) = step.submissions()
    testbed.run(["scancel", f"{job_id}_[{size.num_tasks - size.num_ended}-{size.num_tasks - 1}]"])
    for index in range(size.num_tasks - size.num_ended, size.num_tasks):
        _leave_behind(submission, index, job_id)
    _write_ledger(Root(root).ledger / "resize", size.num_tasks)
    look = [sys.executable, str(REPOSITORY / "jobs" / "status.py"), f"--root={root}"]
    calls.write_text("")
    _run(look)
    calls_to_look = _counts(calls)
    contenders = {
        "jobs/status.py": partial(_run, look),
        "squeue alone": partial(_run, ["squeue", "--array"]),
        "sacct for each task": partial(_ask_singly, job_id, size.num_single_calls),
    }
    timings = take_turns(contenders, rounds=size.rounds)
    ours = timings["jobs/status.py"].wall_seconds
    scale = size.num_tasks / size.num_single_calls
    singly = [seconds * scale for seconds in timings.pop("sacct for each task").wall_seconds]
    of = f"{size.num_tasks} tasks on 4 nodes of this machine, with accounts"
    return [
        Result(
            title=f"submit, {size.num_tasks} tasks",
            measured=f"{of}; one array, MaxArraySize {MAX_ARRAY_SIZE}; once",
            rows=[
                Row(
                    name="slurm.submit",
                    value=seconds_to_submit,
                    unit="s",
                    note=f"{calls_to_submit}; wanted: under 10 s",
                )
            ],
        ),
        Result(
            title=f"status, {size.num_tasks} tasks",
            measured=f"{of}, {size.num_ended} of them ended, and a ledger of "
            f"{VIDEOS_PER_SHARD * size.num_tasks:,} videos; from the start of each program to its "
            f"end; {size.rounds} rounds",
            rows=[
                *durations(
                    timings,
                    notes={
                        "jobs/status.py": f"{calls_to_look}; wanted: under 2 s",
                        "squeue alone": "knows nothing of videos or of what has ended",
                    },
                ),
                Row(
                    name="sacct for each task",
                    value=sorted(singly)[len(singly) // 2],
                    unit="s",
                    ratio=ratio(ours, singly),
                    note=f"{size.num_tasks} calls, from {size.num_single_calls} that were timed",
                ),
            ],
        ),
    ]


def _manifest(step: StepFolder, size: Size) -> Manifest:
    resources = Resources(cpus_per_task=1, memory_gb=1, jitter_seconds=0)
    return manifest_of(step, ("sleep", "600"), range(size.num_tasks), resources=resources)


def _leave_behind(submission: Submission, index: int, job_id: str) -> None:
    """What a task leaves that has begun and ended."""
    now = time.time()
    began = Event(
        kind=BEGAN, job_id=f"{job_id}_{index}", restart=0, seconds=now, node="node1", pid=1
    )
    append_event(submission.marker(index), began)
    append_event(submission.marker(index), replace(began, kind=ENDED, status=1))
    said = {"unit": "videos", "done": 500, "total": 1000, "skipped": 0, "frames": 150_000}
    times = {"label": "work", "started_at": now - 60, "updated_at": now}
    submission.progress(index).write_text(json.dumps(said | times))
    submission.log(index).write_text(200 * "at work\n" + "KeyError: 'frames'\n")


def _write_ledger(folder: Path, num_shards: int) -> None:
    """Outcomes of a thousand videos for each shard, of which two in a hundred have failed."""
    folder.mkdir(parents=True)
    outcome = Outcome(video_id="", status="done", seconds=300.0, num_frames=9000)
    outcomes = [
        replace(outcome, video_id=f"video{number:06d}", status="done" if number % 50 else "failed")
        for number in range(VIDEOS_PER_SHARD)
    ]
    lines = "".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes)
    for index in range(num_shards):
        ledger = LedgerFile(folder / f"{index:05d}.jsonl")
        ledger.path.write_text(lines)
        leave_columns(ledger)  # as a task of resizing does that has ended


@contextmanager
def _counted_commands(folder: Path, testbed: Testbed) -> Iterator[Path]:
    """A file that gets a line at each call of one of SLURM's commands by this process."""
    calls = folder / "calls"
    calls.touch()
    programs = folder / "bin"
    programs.mkdir()
    for name in COMMANDS:
        real = subprocess.check_output(["which", name], text=True).strip()
        (programs / name).write_text(f'#!/bin/sh\necho {name} >> {calls}\nexec {real} "$@"\n')
        (programs / name).chmod(0o755)
    before = dict(os.environ)
    os.environ |= testbed.environment() | {"PATH": f"{programs}{os.pathsep}{before['PATH']}"}
    try:
        yield calls
    finally:
        os.environ.clear()
        os.environ |= before


def _counts(calls: Path) -> str:
    names = calls.read_text().split()
    return ", ".join(f"{names.count(name)} {name}" for name in COMMANDS if name in names)


def _ask_singly(job_id: str, number: int) -> None:
    for index in range(number):
        _run(["sacct", f"--jobs={job_id}_{index}"])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
