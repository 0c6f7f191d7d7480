"""Looks into the store, mends it, and brings features in and out: `jobs/store.py inspect`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, subcommand

from jobs.command import run_command
from jobs.store_import import Import, import_features
from jobs.store_import_clips import ImportClips, import_clips
from jobs.store_overview import print_overview
from mcn.progress import Progress
from mcn.root import Root
from mcn.store.construction import JOURNAL_SUFFIX, newest_journals
from mcn.store.exchange.exported import Layout
from mcn.store.exchange.exporting import export_store
from mcn.store.layout import SEALED_SUFFIX
from mcn.store.lease import LeaseError
from mcn.store.snapshot import Snapshot
from mcn.store.summary import modality_folders, shard_files, summarise
from mcn.store.upkeep.journal_repair import repair_journal
from mcn.store.upkeep.merge import merge_store
from mcn.store.upkeep.repair import broken_path, repair_shard, shards_to_look_at
from mcn.store.verify import verify_shard
from mcn.store.word_table import table_problems, word_tables

MOST_PROBLEMS_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Shards:
    """Which shards are meant."""

    paths: Positional[tuple[Path, ...]] = ()
    """Folders of one modality, or single shards; all of the root and its benchmarks if none."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""


class Inspect(Shards):
    """Show what the store holds, finished and under construction, and what made it."""


class Verify(Shards):
    """Read every byte of the sealed shards; exit status 1 if one is not what was written."""


class Repair(Shards):
    """Rescue what is sound of broken shards; `jobs/extract.py` then makes what is missing."""


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Bring together small shards of a folder; neither extraction nor training may use it then."""

    folder: Positional[Path]
    """A modality of the store, such as data/store/video-resnet152."""
    videos_per_shard: int = 1000
    """Most videos in a merged shard."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write one .npy a video, or tar files for WebDataset; run it again to carry on."""

    folder: Positional[Path]
    """A modality of the store, such as data/store/video-resnet152."""
    to: Path
    """A folder for this export alone."""
    layout: Layout = "npy"
    """npy: <id>.npy, float16 (rows, dim). webdataset: a tar file for each shard."""


@dataclass(frozen=True, kw_only=True)
class TakeSnapshot:
    """Write down which shards are sealed now; runs are trained on just those with --snapshot."""

    file: Positional[Path]
    """To be made: a new file."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""


def inspect(shards: Shards) -> None:
    """Print a row for each modality, and below what made its features."""
    summaries = {label: summarise(files) for label, files in find_shards(shards).items()}
    print_overview(summaries)
    if any(summary.unreadable for summary in summaries.values()):
        sys.exit(1)


def verify(shards: Shards) -> None:
    """Print what is wrong with which shard."""
    files = [path for files in find_shards(shards).values() for path in files]
    sealed = [path for path in files if path.suffix == SEALED_SUFFIX]
    broken = {}
    with Progress("verify", total=len(sealed), unit="shards") as progress:
        for path in sealed:
            problems = verify_shard(path)
            if problems:
                broken[path] = problems
            progress.advance(1)
    for path, problems in broken.items():
        print(f"BROKEN {path}")
        for problem in problems[:MOST_PROBLEMS_SHOWN]:
            print(f"  {problem}")
        if len(problems) > MOST_PROBLEMS_SHOWN:
            print(f"  and {len(problems) - MOST_PROBLEMS_SHOWN} more")
        print("  if it stays so, `python jobs/store.py repair` rescues what is sound, and then")
        print("  `python jobs/extract.py` makes what is missing")
    print(f"{len(sealed) - len(broken)} of {len(sealed)} sealed shards are sound")
    tables = {table for path in sealed for table in word_tables(path.parent.parent)}
    problems_of_words = [problem for table in sorted(tables) for problem in table_problems(table)]
    for problem in problems_of_words:
        print(f"BROKEN {problem}; remove the folder, and `python jobs/extract.py` makes it")
    if broken or problems_of_words:
        sys.exit(1)


def repair(shards: Shards) -> None:
    """Print what was rescued of each broken shard, and which videos are to be extracted again."""
    left_alone = []
    num_repaired = 0
    for path in _shards_to_repair(shards):
        try:
            num_repaired += _repair_one(path)
        except (ValueError, LeaseError) as error:
            left_alone.append(str(error))
    print(f"{num_repaired} shards were broken")
    for sentence in left_alone:
        print(f"LEFT ALONE {sentence}")
    if left_alone:
        sys.exit(1)


def _repair_one(path: Path) -> bool:
    """Whether the shard, sealed or a journal, was broken."""
    if path.suffix == JOURNAL_SUFFIX:
        num_records = repair_journal(path)
        if num_records is not None:
            print(f"REPAIRED {path}\n  {num_records} records behind damage kept")
        return num_records is not None
    done = repair_shard(path)
    if done is None:
        return False
    print(f"REPAIRED {path}")
    if done.is_all_lost:
        print("  nothing says for certain what is in it; all of its videos are made again")
    else:
        print(f"  {done.num_kept} videos kept, {len(done.lost)} to be extracted again")
    for video_id in done.lost:
        print(f"    {video_id}")
    for shard in done.unsealed:
        print(f"  {shard} is left to `python jobs/extract.py`")
    return True


def merge(arguments: Merge) -> None:
    """Print how many shards there were and are."""
    done = merge_store(arguments.folder, videos_per_shard=arguments.videos_per_shard)
    print(f"{arguments.folder}: {done.num_before} shards before, {done.num_after} now")


def _shards_to_repair(shards: Shards) -> list[Path]:
    """Those asked for, else those of the root and its benchmarks."""
    root = Root.resolve(shards.root)
    stores = [root.store, *sorted(root.benchmarks.glob("*/store"))]
    places = shards.paths or [folder for store in stores for folder in sorted(store.glob("*/"))]
    found = []
    for path in places:
        if path.is_dir():
            found += shards_to_look_at(path) + newest_journals(path)
        elif path.exists() or broken_path(path).exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"{path} is neither a folder of shards nor a shard")
    return found


def find_shards(shards: Shards) -> dict[str, list[Path]]:
    """Shards and journals by where they are: those asked for, else those of the root."""
    if shards.paths:
        for path in shards.paths:
            path.stat()  # a mistyped path is an error that names it
        return {str(path): shard_files(path) if path.is_dir() else [path] for path in shards.paths}
    root = Root.resolve(shards.root)
    stores = [root.store, *sorted(root.benchmarks.glob("*/store"))]
    folders = [folder for store in stores for folder in modality_folders(store)]
    if not folders:
        raise ValueError(f"{root.store} holds no shards; `python jobs/extract.py` makes them")
    return {str(folder.relative_to(root.path)): shard_files(folder) for folder in folders}


def snapshot(arguments: TakeSnapshot) -> None:
    """Print what is in it."""
    root = Root.resolve(arguments.root)
    taken = Snapshot.take(modality_folders(root.store))
    if not any(taken.folders.values()):
        raise ValueError(
            f"{root.store} holds no sealed shards; `python jobs/extract.py` makes them"
        )
    taken.write(arguments.file)
    for name, labels in taken.folders.items():
        print(f"{name}: {len(labels)} shards")
    print(f"{arguments.file}: {taken.digest()[:12]}")


Command = (
    Inspect
    | Verify
    | Repair
    | Merge
    | Import
    | ImportClips
    | Export
    | Annotated[TakeSnapshot, subcommand("snapshot")]
)


def main(command: Command) -> None:
    """Do what was asked."""
    match command:
        case Inspect():
            inspect(command)
        case Verify():
            verify(command)
        case Repair():
            repair(command)
        case Merge():
            merge(command)
        case Import():
            import_features(command)
        case ImportClips():
            import_clips(command)
        case Export():
            export_store(command.folder, command.to, command.layout)
        case TakeSnapshot():
            snapshot(command)


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Command)))
