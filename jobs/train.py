"""One run: `python jobs/train.py --stage AV_T --gpus 4`, or `--model xdc --method xdc --gpus 4`."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, Literal, TypeVar

import tyro
from tyro.conf import OmitArgPrefixes

from jobs.command import run_command
from jobs.shards import step_of
from mcn.data.stores import SOURCES, WITHOUT_WORDS, Features, Source
from mcn.root import Root
from mcn.training.config import Runtime, TrainConfig
from mcn.training.presets import MODELS, PRESETS
from mcn.training.run_folder import RunFolder
from mcn.training.xdc.config import PRESETS as XDC_PRESETS
from mcn.training.xdc.config import XdcConfig, defaults_of
from slurm.environment import Task, current_task
from slurm.launch import Target, launch_job
from slurm.local import run_ranks
from slurm.resources import Shape, site_resources

Config = TypeVar("Config", TrainConfig, XdcConfig)


@dataclass(frozen=True, kw_only=True)
class Arguments(Generic[Config]):
    """Train a run, or carry on with it where it was left."""

    config: OmitArgPrefixes[Config]
    runtime: OmitArgPrefixes[Runtime] = field(default_factory=Runtime)
    features: OmitArgPrefixes[Features] = field(default_factory=Features)
    preset: Literal["default", "paper", "published", "demo"] = "default"
    """Where the defaults come from: default has the user's, paper the sizes of the publication,
    published also what its code does wrong, demo those for a corpus of dozens of videos."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    snapshot: Path | None = None
    """What to train on, of `jobs/store.py snapshot`; by default all that is sealed when the run
    begins. The run keeps it, and carries on with the same."""
    run: str | None = None
    """Folder below runs/; by default named by model, order or method, seed and control."""
    gpus: int | None = None
    """Processes with a GPU each. By default all of this machine, one on SLURM; without any GPU a
    single process trains on the CPU. With --device cpu, processes on processors."""
    gpus_per_node: int | None = None
    """How many of them on one node; by default all."""
    target: OmitArgPrefixes[Target] = field(
        default_factory=lambda: Target(resources=site_resources("train", cpus_per_task=8))
    )


AnyArguments = Arguments[TrainConfig] | Arguments[XdcConfig]


def main(arguments: AnyArguments) -> None:
    """Bring the run to where it is trained; a process that was started as a rank trains."""
    root = Root.resolve(arguments.root)
    run = RunFolder(root.runs / (arguments.run or arguments.config.name))
    task = current_task()
    work = partial(_work, root, arguments, run, task)
    if "RANK" in os.environ or task is not None:  # torchrun, or a job, has started this process
        work()
        return
    if run.final.exists():
        run.check(arguments.config)
        print(f"{run.path.name}: trained already, {run.final}")
        return
    launch_job(
        step_of(root, f"train-{run.path.name}"),
        arguments.target,
        shape_of(arguments),
        here=lambda: _train_here(work, arguments),
    )


def _work(root: Root, arguments: AnyArguments, run: RunFolder, task: Task | None) -> None:
    # Here, since it imports torch for seconds, of which submitting needs none.
    from jobs.train_task import check_gpu, train_run

    is_given_gpus = arguments.gpus is not None or (task is not None and task.owner != "")
    if is_given_gpus and shape_of(arguments).gpus_per_node:
        check_gpu()
    train_run(
        root,
        run,
        arguments.config,
        arguments.runtime,
        arguments.features,
        sources_of(arguments.config),
        snapshot=arguments.snapshot,
        progress_file=task.progress if task else None,
    )


def _train_here(work: Callable[[], None], arguments: AnyArguments) -> None:
    from jobs.train_task import num_processes  # as above

    run_ranks(work, num_ranks=num_processes(arguments.gpus, arguments.runtime.device))


def sources_of(config: TrainConfig | XdcConfig) -> tuple[Source, ...]:
    """The stores that a run is trained on: XDC needs no words, and from raw clips none at all."""
    if not isinstance(config, XdcConfig):
        return SOURCES
    return WITHOUT_WORDS if config.pictures is None else ()


def shape_of(arguments: AnyArguments) -> Shape:
    """Nodes, processes and GPUs of the job that trains.

    Raises:
        ValueError: The GPUs cannot be spread evenly over nodes.
    """
    gpus = arguments.gpus or 1
    per_node = arguments.gpus_per_node or gpus
    if gpus % per_node:
        raise ValueError(f"--gpus {gpus} is no multiple of --gpus-per-node {per_node}")
    has_gpus = arguments.runtime.device != "cpu" and arguments.gpus != 0
    return Shape(
        nodes=gpus // per_node,
        tasks_per_node=per_node,
        gpus_per_node=per_node if has_gpus else 0,
    )


def parse(argv: list[str]) -> AnyArguments:
    """Arguments whose defaults are those of the model and the preset named among them."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--preset", default="default")
    peek.add_argument("--model", default="mcn")
    peek.add_argument("--inputs", default="features")
    named = peek.parse_known_args(argv)[0]
    if named.model == "xdc":
        return _parse_xdc(argv, named.preset, named.inputs)
    if (named.model, named.preset) == ("mmv", "published"):
        raise ValueError("--preset published is what MCN's code does; MMV's own values need none")
    defaults = {**MODELS.get(named.model, {}), **PRESETS.get(named.preset, {})}
    config = TrainConfig(stage=tyro.MISSING, **defaults)
    return tyro.cli(Arguments[TrainConfig], default=Arguments(config=config), args=argv)


def _parse_xdc(argv: list[str], preset: str, inputs: str) -> AnyArguments:
    if preset not in XDC_PRESETS:
        raise ValueError(f"--preset {preset}: of xdc there is {' and '.join(XDC_PRESETS)}")
    if any(word.split("=")[0] == "--stage" for word in argv):
        raise ValueError(
            "--stage is of mcn and mmv: xdc always trains video and audio, leave it out"
        )
    config = XdcConfig(**defaults_of(preset, inputs))
    return tyro.cli(Arguments[XdcConfig], default=Arguments(config=config), args=argv)


if __name__ == "__main__":
    run_command(lambda: main(parse(sys.argv[1:])))
