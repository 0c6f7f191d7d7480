"""One run: `python jobs/train.py --stage AV_T --gpus 4`, or `--model xdc --method xdc --gpus 4`."""

import argparse
import os
import socket
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, Literal, TypeVar

import torch
import tyro
from tyro.conf import OmitArgPrefixes

from extractors.raw_corpus import keep_corpus
from jobs.command import run_command
from jobs.shards import step_of
from mcn.data.clip_source import ClipSource
from mcn.data.manifest import read_manifest
from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import clips_with_both
from mcn.data.stores import (
    SOURCES,
    WITHOUT_WORDS,
    Features,
    Source,
    Stores,
    fingerprints_of,
    keep_snapshot,
    open_stores,
    videos_without_motion,
)
from mcn.root import Root
from mcn.sha256 import file_sha256
from mcn.store.snapshot import Snapshot
from mcn.training.config import MODELS, PRESETS, Runtime, TrainConfig
from mcn.training.guard import nonfinite_summary
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder
from mcn.training.xdc.config import PRESETS as XDC_PRESETS
from mcn.training.xdc.config import XdcConfig, defaults_of
from mcn.training.xdc.loop import train_xdc
from slurm.environment import Task, current_task
from slurm.launch import Target, launch_job
from slurm.local import run_ranks
from slurm.resources import Shape, site_resources

VIDEOS_SHOWN = 10

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
    work = partial(_train, root, arguments, run, task)
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
        here=lambda: run_ranks(work, num_ranks=_num_processes_here(arguments)),
    )


def _train(root: Root, arguments: AnyArguments, run: RunFolder, task: Task | None) -> None:
    is_given_gpus = arguments.gpus is not None or (task is not None and task.owner != "")
    if is_given_gpus and shape_of(arguments).gpus_per_node and not torch.cuda.is_available():
        raise ValueError(
            f"torch sees no GPU on {socket.gethostname()}, though the run was to have some; "
            "--gpus 0 trains on the processor, --device cpu --gpus 4 on processors"
        )
    config, progress_file = arguments.config, task.progress if task else None
    is_first = int(os.environ.get("RANK", 0)) == 0
    if isinstance(config, XdcConfig):
        clips, data = _clips(root, arguments, config, run, is_first=is_first)
        train_xdc(
            config,
            arguments.runtime,
            clips,
            run,
            data=data,
            categories=_categories(root),
            progress_file=progress_file,
        )
    else:
        stores = _stores(root, arguments, run, is_first=is_first)
        train(config, arguments.runtime, stores, run, progress_file=progress_file)
    if is_first:
        print(f"{run.path.name}: trained, {run.final}")
        not_finite = nonfinite_summary(run.nonfinite_log)
        if not_finite is not None:
            print(f"{run.path.name}: {not_finite}")


def _clips(
    root: Root, arguments: AnyArguments, config: XdcConfig, run: RunFolder, *, is_first: bool
) -> tuple[ClipSource, dict[str, str]]:
    """All clips, and the fingerprints of what they are read from."""
    run.check(config)  # before anything is put into its folder
    if config.pictures is None:
        stores = _stores(root, arguments, run, is_first=is_first)
        stored = clips_with_both(
            MediaReader(stores),
            clip_seconds=config.clip_seconds,
            most_per_video=config.clips_per_video,
        )
        return stored, fingerprints_of(stores)
    if arguments.snapshot is not None:
        raise ValueError("--snapshot is of stores, and --inputs clips reads none: leave it out")
    corpus = keep_corpus(run.corpus, root)
    data = {"resized": corpus.digest()}
    if config.video_weights != "random":
        weights = Path(config.video_weights)
        if not weights.is_file():
            raise FileNotFoundError(f"--video-weights {weights}: there is no such file")
        data["video-weights"] = file_sha256(weights)
    raw = corpus.clips(
        root.resized,
        config.pictures,
        clip_seconds=config.clip_seconds,
        most_per_video=config.clips_per_video,
    )
    return raw, data


def _stores(root: Root, arguments: AnyArguments, run: RunFolder, *, is_first: bool) -> Stores:
    """Those that a run is trained on, as they were when it began."""
    sources = sources_of(arguments.config)
    snapshot = _snapshot(root.store, arguments, run, sources)
    stores = open_stores(root.store, arguments.features, snapshot, sources=sources)
    without_motion = videos_without_motion(stores)
    if without_motion and is_first:
        more = len(without_motion) - VIDEOS_SHOWN
        print(
            f"{run.path.name}: {len(without_motion)} videos count as without video, since "
            f"{arguments.features.video_3d} lacks them: {', '.join(without_motion[:VIDEOS_SHOWN])}"
            + (f" and {more} more" if more > 0 else "")
        )
    return stores


def sources_of(config: TrainConfig | XdcConfig) -> tuple[Source, ...]:
    """The stores that a run is trained on: XDC needs no words, and from raw clips none at all."""
    if not isinstance(config, XdcConfig):
        return SOURCES
    return WITHOUT_WORDS if config.pictures is None else ()


def _categories(root: Root) -> dict[str, str]:
    """Of the videos, where there is a manifest that has any."""
    if not root.manifest.exists():
        return {}
    videos = read_manifest(root.manifest)
    return dict(zip(videos.video_ids, videos.categories, strict=True))


def _snapshot(
    store: Path, arguments: AnyArguments, run: RunFolder, sources: tuple[Source, ...]
) -> Snapshot:
    """The shards that the run is trained on from its beginning to its end, by all ranks."""
    asked = None if arguments.snapshot is None else Snapshot.read(arguments.snapshot)
    kept = keep_snapshot(run.snapshot, store, arguments.features, asked, sources=sources)
    if asked not in (None, kept):
        raise ValueError(
            f"{run.snapshot} is another snapshot than {arguments.snapshot}: give this run its own "
            "--run NAME, or carry on without --snapshot"
        )
    return kept


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


def _num_processes_here(arguments: AnyArguments) -> int:
    asked, available = arguments.gpus, torch.cuda.device_count()
    if arguments.runtime.device == "cpu":
        return asked or 1
    if asked is None:
        return max(1, available)
    if asked > available:
        way_out = f"--gpus {available} uses those" if available else "--gpus 0 trains on the CPU"
        raise ValueError(f"--gpus {asked}: this machine has {available or 'no'} GPUs; {way_out}")
    return max(1, asked)


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
