"""Brings work to where it runs: SLURM, this machine, or this very process."""

import getpass
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from tyro.conf import OmitArgPrefixes

from slurm.controller import has_slurm
from slurm.local_pool import run_pool
from slurm.resources import Resources, Shape
from slurm.submission import Manifest, StepFolder
from slurm.submit import print_scripts, submit

# Of the environment, what a task needs to find the same data as the command that launched it.
KEPT_VARIABLES = ("MCN_ROOT", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to run."""

    cluster: Literal["auto", "slurm", "local", "debug"] = "auto"
    """slurm submits and returns; local runs as many tasks at once as this machine has cores or
    GPUs for; debug runs one after the other in this process; auto is slurm where there is one, else
    local."""
    dry_run: bool = False
    """Print the scripts that sbatch would be given, and submit nothing."""
    resources: OmitArgPrefixes[Resources] = field(default_factory=Resources)

    @cached_property
    def kind(self) -> Literal["slurm", "local", "debug"]:
        """Where it will be, now that this machine is known."""
        if self.dry_run:
            return "slurm"
        if self.cluster != "auto":
            return self.cluster
        return "slurm" if has_slurm() else "local"

    @property
    def leaves_submission(self) -> bool:
        """Whether a launch is written down below the logs of its step."""
        return self.kind != "debug" and not self.dry_run


@dataclass(frozen=True)
class Step:
    """A piece of work that can be launched again and again until all of it is done."""

    folder: StepFolder
    command: Sequence[str]
    """What a task runs; `slurm.environment.current_task` tells it which shard is meant."""


def launch_array(
    step: Step,
    indices: Sequence[int],
    target: Target,
    *,
    max_running: int | None,
    here: Callable[[int], None],
) -> None:
    """Do the shards that are not done, each as a task of its own.

    Args:
        step: What a task runs.
        indices: Shards that are not done.
        target: Where.
        max_running: How many tasks may run at once.
        here: Does one shard in this process, for `--cluster debug`.

    Raises:
        SlurmError: SLURM cannot be asked; nothing has been submitted, or the message says what.
        ChildProcessError: A task on this machine failed.
    """
    if target.kind == "debug":
        for index in indices:
            here(index)
        return
    shape = Shape(max_running=max_running)
    manifest = _manifest(step, tuple(indices), target, shape, is_array=True)
    if target.kind == "local":
        run_pool(step.folder.begin(manifest))
    elif target.dry_run:
        print_scripts(step.folder, manifest)
    else:
        submit(step.folder, manifest)


def launch_job(step: Step, target: Target, shape: Shape, *, here: Callable[[], None]) -> str | None:
    """Run one job of one or many processes; returns its id where SLURM has it, or would have.

    Args:
        step: What every process runs.
        target: Where.
        shape: Nodes, processes and GPUs, and what to wait for.
        here: Does it in this process and those that it starts.

    Raises:
        SlurmError: SLURM cannot be asked; nothing has been submitted.
    """
    if target.kind != "slurm":
        here()
        return None
    manifest = _manifest(step, (0,), target, shape, is_array=False)
    if target.dry_run:
        print_scripts(step.folder, manifest)
        return f"ID_OF_{manifest.step}"
    return submit(step.folder, manifest)[0]


def _manifest(
    step: Step, indices: tuple[int, ...], target: Target, shape: Shape, *, is_array: bool
) -> Manifest:
    on_slurm = target.kind == "slurm"
    if on_slurm:
        target.resources.check_for_slurm()
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return Manifest(
        step=step.folder.path.name,
        command=tuple(step.command),
        folder=str(Path.cwd()),
        scheduler="slurm" if on_slurm else "local",
        environment=kept,
        indices=indices,
        chunks=((0, len(indices)),),
        is_array=is_array,
        resources=target.resources,
        shape=shape,
        jitter_seconds=target.resources.jitter_seconds if is_array and on_slurm else 0.0,
        user=getpass.getuser(),
        submitted_at=time.time(),
    )


def own_command() -> list[str]:
    """The command line of this process, such that it can be run from elsewhere."""
    return [sys.executable, str(Path(sys.argv[0]).resolve()), *sys.argv[1:]]
