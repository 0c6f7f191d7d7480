"""Steps of a few tasks for tests: what a task does is a line of Python or shell."""

import getpass
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from slurm.resources import Resources, Shape
from slurm.submission import Manifest, StepFolder, Submission
from slurm.submit import SECONDS_UNTIL_KNOWN

LIGHT = Resources(cpus_per_task=1, memory_gb=0.1, time_limit_minutes=5, jitter_seconds=0)


def python(code: str) -> tuple[str, ...]:
    """A command that runs these lines."""
    return (sys.executable, "-c", code)


def manifest_of(
    folder: StepFolder,
    command: Sequence[str],
    indices: Sequence[int],
    *,
    resources: Resources = LIGHT,
    shape: Shape | None = None,
    is_array: bool = True,
    scheduler: Literal["slurm", "local"] = "slurm",
) -> Manifest:
    """A manifest as a launch would write it, without waiting at the start of tasks."""
    return Manifest(
        step=folder.path.name,
        command=tuple(command),
        folder=str(Path.cwd()),
        scheduler=scheduler,
        environment={},
        indices=tuple(indices),
        chunks=((0, len(indices)),),
        is_array=is_array,
        jitter_seconds=0,
        resources=resources,
        shape=shape or Shape(),
        user=getpass.getuser(),
        submitted_at=time.time(),
    )


def grow_old(submission: Submission) -> None:
    """Let sbatch have been called so long ago that by now it is known what SLURM has taken."""
    for path in (submission.path / "manifest.json", *submission.path.glob("*.sh")):
        long_ago = path.stat().st_mtime - SECONDS_UNTIL_KNOWN - 1
        os.utime(path, (long_ago, long_ago))
