"""Every video to the standard form: `python jobs/resize.py --array 0-899`."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import claim_resize_rule, raw_videos, resize_ledger
from extractors.plan import extend_plan, read_plan
from extractors.resize import ResizeConfig
from extractors.resize_shard import resize_shard
from extractors.sandbox import SandboxLimits
from jobs.command import run_command
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.data.ledger import LedgerFile, read_ledger
from mcn.root import Root
from slurm.environment import current_task
from slurm.launch import Target
from slurm.resources import site_resources


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Bring the raw videos to the standard form; what is done stays done."""

    resize: OmitArgPrefixes[ResizeConfig] = field(default_factory=ResizeConfig)
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    benchmark: str | None = None
    """Work on this benchmark's videos instead of the training videos."""
    array: str | None = None
    """Shards to work on, as SLURM writes them: 0-899, or 3,7,20-29, or 0-899%64 for 64 at once; or
    failed, for those that ended short. By default all."""
    videos_per_shard: int = 1000
    """Mean number of videos in a shard, when new videos are planned."""
    threads: int = len(os.sched_getaffinity(0))
    """Videos resized at once."""
    sandbox: SandboxLimits = field(default_factory=SandboxLimits)
    target: OmitArgPrefixes[Target] = field(
        default_factory=lambda: Target(resources=site_resources("resize"))
    )


def main(arguments: Arguments) -> None:
    """Plan what is new, and bring the shards that are not done to where they are resized."""
    root = Root.resolve(arguments.root)
    if arguments.benchmark:
        root = root.benchmark(arguments.benchmark)
    task = current_task()
    if task is not None:
        _resize(task.index, root, arguments)
        return
    sources = raw_videos(root)
    claim_resize_rule(root, arguments.resize)
    costs = {video_id: float(path.stat().st_size) for video_id, path in sources.items()}
    plan = extend_plan(_plan(root), costs, videos_per_shard=arguments.videos_per_shard)
    step = step_of(Root.resolve(arguments.root), "resize", arguments.benchmark)
    asked, max_running = shards_asked_for(arguments.array, len(plan), step)
    entered = read_ledger(resize_ledger(root))
    left = [i for i in asked if any(v in sources and v not in entered for v in plan[i])]
    launch_shards(
        step,
        "resize",
        asked,
        left,
        arguments.target,
        max_running=max_running,
        here=lambda index: _resize(index, root, arguments),
    )
    if arguments.target.kind != "slurm":
        _print_outcomes(root)


def _resize(index: int, root: Root, arguments: Arguments) -> None:
    """Resize the videos of one shard."""
    planned = read_plan(_plan(root))[index]
    raw = raw_videos(root)
    sources = {video_id: raw[video_id] for video_id in planned if video_id in raw}
    label = f"resize {root.path.name}, shard {index}"
    with shard_under_way(label, len(sources)) as (progress, stop):
        resize_shard(
            sources,
            root.resized,
            LedgerFile(resize_ledger(root) / f"{index:05d}.jsonl"),
            arguments.resize,
            num_threads=arguments.threads,
            progress=progress,
            stop=stop,
            limits=arguments.sandbox,
        )


def _plan(root: Root) -> Path:
    return root.plans / "resize.csv"


def _print_outcomes(root: Root) -> None:
    outcomes = read_ledger(resize_ledger(root)).values()
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    print(f"resized: {len(outcomes) - len(failed)} videos, {len(failed)} failed")
    for outcome in failed:
        print(f"  {outcome.video_id}: {outcome.detail}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
