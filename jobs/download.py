"""The videos of the manifest: `python jobs/download.py --array 0-899%16`."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import download_ledger, listed_videos
from extractors.download import DownloadConfig
from extractors.download_shard import download_shard
from extractors.plan import extend_plan, read_plan
from jobs.command import run_command
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.data.failure_class import Retry
from mcn.data.ledger import LedgerFile, is_left, read_ledger
from mcn.root import Root
from slurm.environment import current_task
from slurm.launch import Target
from slurm.resources import site_resources

MOST_TASKS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Download the videos of HowTo100M's csv or of the manifest; what is there stays there."""

    download: OmitArgPrefixes[DownloadConfig] = field(default_factory=DownloadConfig)
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    benchmark: str | None = None
    """Work on this benchmark's videos, which its manifest.csv lists, instead of the training
    videos."""
    array: str | None = None
    """Shards to work on, as SLURM writes them: 0-899, or 3,7,20-29, or 0-899%64 for 64 at once, of
    which there are 16 otherwise; or failed, for those that ended short. By default all."""
    retry: Retry | None = None
    """Try again the videos that have failed so: transient, those that may come yet; or all."""
    videos_per_shard: int = 1000
    """Mean number of videos in a shard, when new videos are planned."""
    target: OmitArgPrefixes[Target] = field(
        default_factory=lambda: Target(resources=site_resources("download", cpus_per_task=1))
    )


def main(arguments: Arguments) -> None:
    """Plan what is new, and bring the shards that are not done to where they are downloaded."""
    root = Root.resolve(arguments.root)
    if arguments.benchmark:
        root = root.benchmark(arguments.benchmark)
    task = current_task()
    if task is not None:
        _download(task.index, root, arguments)
        return
    root.raw.mkdir(parents=True, exist_ok=True)
    costs = {video.video_id: 1.0 for video in listed_videos(root)}
    if not costs:
        raise ValueError(
            f"{root.path} lists no videos: put {root.howto100m_csv.name} there, or a "
            f"{root.manifest.name} with columns video_id,path,category,seconds,frames"
        )
    plan = extend_plan(_plan(root), costs, videos_per_shard=arguments.videos_per_shard)
    step = step_of(Root.resolve(arguments.root), "download", arguments.benchmark)
    asked, max_running = shards_asked_for(arguments.array, len(plan), step)
    entered = read_ledger(download_ledger(root))
    left = [i for i in asked if any(is_left(entered.get(v), arguments.retry) for v in plan[i])]
    launch_shards(
        step,
        "download",
        asked,
        left,
        arguments.target,
        max_running=max_running or MOST_TASKS_AT_ONCE,
        here=lambda index: _download(index, root, arguments),
    )
    if arguments.target.kind != "slurm":
        _print_outcomes(root)


def _download(index: int, root: Root, arguments: Arguments) -> None:
    """Download the videos of one shard."""
    planned = read_plan(_plan(root))[index]
    label = f"download {root.path.name}, shard {index}"
    with shard_under_way(label, len(planned)) as (progress, stop):
        download_shard(
            planned,
            root.raw,
            LedgerFile(download_ledger(root) / f"{index:05d}.jsonl"),
            arguments.download,
            retry=arguments.retry,
            progress=progress,
            stop=stop,
        )


def _plan(root: Root) -> Path:
    return root.plans / "download.csv"


def _print_outcomes(root: Root) -> None:
    outcomes = read_ledger(download_ledger(root)).values()
    failed = Counter((o.kind, o.reason) for o in outcomes if o.status == "failed")
    print(f"downloaded: {len(outcomes) - failed.total()} videos, {failed.total()} failed")
    for (kind, reason), number in failed.most_common():
        print(f"  {number} {kind}: {reason}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
