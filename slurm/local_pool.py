"""Tasks of an array on this machine: so many at once as it has cores or GPUs for."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slurm.environment import STOPPED_EARLY
from slurm.parent import end_with_parent
from slurm.resources import Resources
from slurm.submission import Submission

SECONDS_BETWEEN_LOOKS = 0.1


def run_pool(submission: Submission) -> None:
    """Run all tasks of a submission; one that fails does not keep the others from theirs.

    Raises:
        ChildProcessError: Some failed, or were stopped; the message names them and their logs.
    """
    manifest = submission.manifest
    slots = slots_of(manifest.resources)[: manifest.shape.max_running or None]
    waiting = deque(enumerate(manifest.indices))
    running: list[_Running] = []
    failed: list[int] = []
    is_stopped = False
    width = min(len(slots), len(waiting))
    print(
        f"{manifest.step}: {len(waiting)} tasks, {width} at once; logs in {submission.step_folder}",
        flush=True,
    )
    try:
        while running or (waiting and not is_stopped):
            while waiting and slots and not is_stopped:
                running.append(_start(submission, *waiting.popleft(), slots.pop()))
            time.sleep(SECONDS_BETWEEN_LOOKS)
            for task in [task for task in running if task.process.poll() is not None]:
                running.remove(task)
                slots.append(task.slot)
                if task.process.returncode == STOPPED_EARLY:
                    is_stopped = True
                elif task.process.returncode:
                    failed.append(task.index)
                    said = _last_line(submission.log(task.index))
                    print(f"shard {task.index} failed: {said}", flush=True)
    finally:
        for task in running:
            task.process.terminate()
        for task in running:
            task.process.wait()
    if failed:
        raise ChildProcessError(
            f"{len(failed)} of {len(manifest.indices)} tasks failed, {submission.log(failed[0])} "
            "has the words of the first; --array failed does them again"
        )
    if is_stopped:
        raise ChildProcessError("stopped; all that was done is saved, the same command carries on")


@dataclass(frozen=True)
class _Running:
    index: int
    process: subprocess.Popen[bytes]
    slot: dict[str, str]


def slots_of(resources: Resources) -> list[dict[str, str]]:
    """The environment of each task that may run at once on this machine."""
    gpus = sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*"))
    cores = len(os.sched_getaffinity(0))
    if gpus:
        each = max(1, resources.gpus_per_task)
        groups = [gpus[i : i + each] for i in range(0, len(gpus) - each + 1, each)]
        share = {"CPUS_PER_RANK": str(max(1, cores // max(1, len(groups))))}
        return [{"CUDA_VISIBLE_DEVICES": ",".join(map(str, group)), **share} for group in groups]
    threads = str(min(resources.cpus_per_task, cores))
    share = {"CPUS_PER_RANK": threads, "OMP_NUM_THREADS": threads}
    return [share] * (cores // int(threads))


def _start(submission: Submission, place: int, index: int, slot: dict[str, str]) -> _Running:
    # A task must not take itself for one of a job in whose shell the pool may run.
    outside = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    command = [sys.executable, "-m", "slurm.task", str(submission.path), "0", f"--place={place}"]
    process = subprocess.Popen(
        command,
        env=outside | slot,
        stdin=subprocess.DEVNULL,
        preexec_fn=partial(end_with_parent, signal.SIGTERM),
    )
    return _Running(index, process, slot)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"
