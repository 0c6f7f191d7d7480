"""The videos of the manifest: `python jobs/download.py --array 0-899%16`."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import download_ledger, listed_videos, resize_ledger
from extractors.download import DownloadConfig
from extractors.download_shard import download_shard
from extractors.loads import download_loads, download_rate
from extractors.plan import keep_plan, planned, read_plan, with_new_videos
from extractors.room import check_room, full_disk_explained
from jobs.command import run_command
from jobs.costs import cost_of, print_cost
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.data.failure_class import Retry
from mcn.data.ledger import LedgerFile, read_ledger
from mcn.data.ledger_columns import read_columns
from mcn.root import Root
from mcn.store.ids import texts_missing
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
    plan: bool = False
    """Print what it will cost: terabytes, files, wall time; and submit nothing."""
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
    costs = dict.fromkeys(listed_videos(root).video_ids, 1.0)
    if not costs:
        raise ValueError(
            f"{root.path} lists no videos: put {root.howto100m_csv.name} there, or a "
            f"{root.manifest.name} with columns video_id,path,category,seconds,frames"
        )
    plan = with_new_videos(planned(_plan(root)), costs, videos_per_shard=arguments.videos_per_shard)
    if not (arguments.plan or arguments.target.dry_run):
        keep_plan(_plan(root), plan)
    step = step_of(Root.resolve(arguments.root), "download", arguments.benchmark)
    asked, max_running = shards_asked_for(arguments.array, len(plan), step)
    to_do = read_columns(download_ledger(root)).left(costs, arguments.retry)
    to_do = _without_resized(to_do, root)
    left = [i for i in asked if not to_do.isdisjoint(plan[i])]
    cost = cost_of(
        step,
        download_loads(plan, left, to_do.__contains__),
        {i: float(len(shard)) for i, shard in enumerate(plan)},
        arguments.target,
        max_running=max_running or MOST_TASKS_AT_ONCE,
        is_alike=lambda command: True,
        default=download_rate(
            seconds_between_videos=arguments.download.seconds_between_videos,
            megabytes_per_second=arguments.download.megabytes_per_second,
        ),
    )
    if arguments.plan:
        print_cost("download", cost)
        return
    if not arguments.target.dry_run:
        check_room(root.raw, num_bytes=cost.bytes_written, num_files=cost.num_files)
    if left and arguments.target.leaves_submission:
        cost.write(step.folder.path)
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
        listed_videos(root)  # the manifest learns what is known by now
        _print_outcomes(root)


def _download(index: int, root: Root, arguments: Arguments) -> None:
    """Download the videos of one shard."""
    planned_ids = read_plan(_plan(root))[index]
    to_do = _without_resized(planned_ids, root)
    shard = [video_id for video_id in planned_ids if video_id in to_do]
    label = f"download {root.path.name}, shard {index}"
    with (
        full_disk_explained(root.raw),
        shard_under_way(label, len(shard)) as (progress, stop),
    ):
        download_shard(
            shard,
            root.raw,
            LedgerFile(download_ledger(root) / f"{index:05d}.jsonl"),
            arguments.download,
            retry=arguments.retry,
            progress=progress,
            stop=stop,
        )


def _without_resized(video_ids: Collection[str], root: Root) -> set[str]:
    """Resized videos need no raw file any more: it may have been deleted on request."""
    return texts_missing(video_ids, read_columns(resize_ledger(root)).done["video_id"])


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
