"""Every video to the standard form: `python jobs/resize.py --array 0-899`."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import claim_resize_rule, raw_videos, resize_ledger
from extractors.plan import extend_plan
from extractors.resize import ResizeConfig
from extractors.resize_shard import resize_shard
from jobs.command import run_command, shards_asked_for
from mcn.data.ledger import LedgerFile, read_ledger
from mcn.progress import Progress
from mcn.root import Root


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Bring the raw videos to the standard form; what is done stays done."""

    resize: OmitArgPrefixes[ResizeConfig] = field(default_factory=ResizeConfig)
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    benchmark: str | None = None
    """Work on this benchmark's videos instead of the training videos."""
    array: str | None = None
    """Shards to work on, as SLURM writes them: 0-899, or 3,7,20-29. By default all."""
    videos_per_shard: int = 1000
    """Mean number of videos in a shard, when new videos are planned."""
    threads: int = len(os.sched_getaffinity(0))
    """Videos resized at once."""


def main(arguments: Arguments) -> None:
    """Resize the shards asked for, here."""
    root = Root.resolve(arguments.root)
    if arguments.benchmark:
        root = root.benchmark(arguments.benchmark)
    sources = raw_videos(root)
    claim_resize_rule(root, arguments.resize)
    costs = {video_id: float(path.stat().st_size) for video_id, path in sources.items()}
    plan = extend_plan(
        root.plans / "resize.csv", costs, videos_per_shard=arguments.videos_per_shard
    )
    shards = shards_asked_for(arguments.array, len(plan))
    total = sum(len(plan[index]) for index in shards)
    with Progress(f"resize {root.path.name}", total=total, unit="videos") as progress:
        for index in shards:
            resize_shard(
                {v: sources[v] for v in plan[index] if v in sources},
                root.resized,
                LedgerFile(resize_ledger(root) / f"{index:05d}.jsonl"),
                arguments.resize,
                num_threads=arguments.threads,
                on_videos=progress.advance,
            )
    outcomes = read_ledger(resize_ledger(root)).values()
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    print(f"resized: {len(outcomes) - len(failed)} videos, {len(failed)} failed")
    for outcome in failed:
        print(f"  {outcome.video_id}: {outcome.detail}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
