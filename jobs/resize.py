"""Every video to the standard form: `python jobs/resize.py --array 0-899`."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import claim_resize_rule, listed_videos, raw_videos, resize_ledger
from extractors.estimate import Estimate
from extractors.loads import (
    raw_sizes,
    resize_loads,
    resize_rate,
    resized_bytes_per_second,
    seconds_of,
)
from extractors.plan import extend_plan, planned, read_plan, with_new_videos
from extractors.resize import ResizeConfig
from extractors.resize_shard import removed_videos, resize_shard
from extractors.room import check_room
from extractors.sandbox import SandboxLimits
from jobs.command import run_command
from jobs.costs import cost_of, print_cost, same_options
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.data.failure_class import Retry
from mcn.data.ledger import LedgerFile, read_ledger
from mcn.data.ledger_columns import read_columns
from mcn.data.probe_folder import has_sounds_alone
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
    retry: Retry | None = None
    """Try again the videos that have failed so; all also takes up those that are done and whose
    resized file was removed."""
    delete_sources: bool = False
    """Delete each raw video, of a symbolic link the link, once what was made of it has been read
    back in its place; those resized before, too. The ledger says which are gone. Too little room
    is then a warning, and not refused."""
    plan: bool = False
    """Print what it will cost: terabytes, files, core-hours, wall time; and submit nothing."""
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
    listed = listed_videos(root)
    files = zip(listed.video_ids, listed.paths, strict=True)
    sources = {video_id: root.path / path for video_id, path in files if path}
    sizes = raw_sizes(sources)
    sources = {video_id: sources[video_id] for video_id in sizes}
    per_shard = arguments.videos_per_shard
    if arguments.plan or arguments.target.dry_run:
        plan = with_new_videos(planned(_plan(root)), sizes, videos_per_shard=per_shard)
    else:
        claim_resize_rule(root, arguments.resize)
        plan = extend_plan(_plan(root), sizes, videos_per_shard=per_shard)
    step = step_of(Root.resolve(arguments.root), "resize", arguments.benchmark)
    asked, max_running = shards_asked_for(arguments.array, len(plan), step)
    columns = read_columns(resize_ledger(root))
    resized: dict[str, float] = columns.by_id("seconds")
    to_do = columns.left(sources, arguments.retry)
    to_do |= removed_videos(sources, root.resized, arguments.retry)
    to_delete = resized.keys() & sources.keys() if arguments.delete_sources else ()
    left = [i for i in asked if any(v in to_do or v in to_delete for v in plan[i])]
    known = dict(zip(listed.video_ids, listed.seconds, strict=True))
    seconds = seconds_of(sizes, known | resized)
    loads = resize_loads(
        plan,
        left,
        to_do.__contains__,
        sizes=sizes,
        seconds=seconds,
        bytes_per_second=resized_bytes_per_second(root.resized, resized, 1.0),
    )
    cost = cost_of(
        step,
        loads,
        {i: sum(seconds.get(v, 0.0) for v in shard) for i, shard in enumerate(plan)},
        arguments.target,
        max_running=max_running,
        is_alike=same_options(Arguments, lambda earlier: earlier.resize == arguments.resize),
        default=resize_rate(
            arguments.resize.preset, cpus_per_task=arguments.target.resources.cpus_per_task
        ),
    )
    if arguments.plan:
        print_cost("resize", cost)
        return
    if not arguments.target.dry_run:
        _check_room(root, cost, arguments)
    if left and arguments.target.leaves_submission:
        cost.write(step.folder.path)
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
        listed_videos(root)  # the manifest learns what is known by now
        _print_outcomes(root)


def _check_room(root: Root, cost: Estimate, arguments: Arguments) -> None:
    """Where sources are deleted, room comes as it goes, and nobody knows beforehand how much."""
    try:
        check_room(root.resized, num_bytes=cost.bytes_written, num_files=cost.num_files)
    except ValueError as error:
        if not arguments.delete_sources:
            raise
        print(f"warning: {error}; begun all the same, for sources are deleted on the way")


def _resize(index: int, root: Root, arguments: Arguments) -> None:
    """Resize the videos of one shard."""
    shard = read_plan(_plan(root))[index]
    raw = raw_videos(root)
    sources = {video_id: raw[video_id] for video_id in shard if video_id in raw}
    label = f"resize {root.path.name}, shard {index}"
    with shard_under_way(label, len(sources)) as (progress, stop):
        resize_shard(
            sources,
            root.resized,
            LedgerFile(resize_ledger(root) / f"{index:05d}.jsonl"),
            arguments.resize,
            retry=arguments.retry,
            deletes_sources=arguments.delete_sources,
            accepts_sound_alone=has_sounds_alone(root.path),
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
    for outcome in outcomes:
        if outcome.status == "done" and (outcome.completeness < 1 or outcome.num_errors > 0):
            print(
                f"  {outcome.video_id}: done, {outcome.completeness:.1%} complete, "
                f"damaged at {max(0, outcome.num_errors)} places"
            )
    for outcome in failed:
        print(f"  {outcome.video_id}: {outcome.detail} ({outcome.failure})")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
