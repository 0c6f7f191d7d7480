"""One order of the two stages: `python jobs/train.py --stage AV_T --gpus 4`."""

import argparse
import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from tyro.conf import OmitArgPrefixes

from jobs.command import run_command
from mcn.data.stores import Features, open_stores
from mcn.root import Root
from mcn.training.config import PRESETS, Runtime, TrainConfig
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder
from mcn.training.stop import StoppedEarlyError
from slurm.local import run_ranks

# What sysexits.h calls a temporary failure: the same command carries on.
EXIT_STOPPED_EARLY = 75


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a run, or carry on with it where it was left."""

    config: OmitArgPrefixes[TrainConfig]
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    features: OmitArgPrefixes[Features] = field(default_factory=Features)
    preset: Literal["default", "paper", "demo"] = "default"
    """Where the defaults come from: default has the user's, paper those of the publication, demo
    those for a corpus of dozens of videos."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    run: str | None = None
    """Folder below runs/; by default named by order, seed and control."""
    gpus: int | None = None
    """Processes with a GPU each; 0 trains on the CPU. By default all GPUs of this machine."""


def main(arguments: Arguments) -> None:
    """Train here, one process a GPU; under torchrun this process is one of them."""
    root = Root.resolve(arguments.root)
    run = RunFolder(root.runs / (arguments.run or arguments.config.name))
    work = partial(_train, root.store, arguments, run)
    if "RANK" in os.environ:  # torchrun, or a job, has started one process a rank
        work()
        return
    run_ranks(work, num_ranks=max(1, _num_gpus(arguments.gpus)))
    print(f"{run.path.name}: trained, {run.final}")


def _train(store: Path, arguments: Arguments, run: RunFolder) -> None:
    stores = open_stores(store, arguments.features)
    try:
        train(arguments.config, arguments.runtime, stores, run)
    except StoppedEarlyError as stopped:
        print(stopped)
        sys.exit(EXIT_STOPPED_EARLY)


def _num_gpus(asked: int | None) -> int:
    available = torch.cuda.device_count()
    if asked is None:
        return available
    if asked > available:
        way_out = f"--gpus {available} uses those" if available else "--gpus 0 trains on the CPU"
        raise ValueError(f"--gpus {asked}: this machine has {available or 'no'} GPUs; {way_out}")
    return asked


def _parse(argv: list[str]) -> Arguments:
    """Arguments whose defaults are those of the preset named among them."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--preset", default="default")
    preset = peek.parse_known_args(argv)[0].preset
    config = TrainConfig(stage=tyro.MISSING, **PRESETS.get(preset, {}))
    return tyro.cli(Arguments, default=Arguments(config=config), args=argv)


if __name__ == "__main__":
    run_command(lambda: main(_parse(sys.argv[1:])))
