"""Looks into the store: `python jobs/store.py inspect`, `python jobs/store.py verify`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from jobs.command import run_command
from mcn.progress import Progress
from mcn.root import Root
from mcn.store.layout import SEALED_SUFFIX
from mcn.store.summary import Summary, modality_folders, shard_files, summarise
from mcn.store.verify import verify_shard

GB = 1e9
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


def inspect(shards: Shards) -> None:
    """Print a row for each modality, and below what made its features."""
    summaries = {label: summarise(files) for label, files in find_shards(shards).items()}
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_overview(summaries))
    for label, summary in summaries.items():
        for line in _origin(label, summary):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
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
        print("  if it stays so, delete the file and run `python jobs/extract.py` to make it again")
    print(f"{len(sealed) - len(broken)} of {len(sealed)} sealed shards are sound")
    if broken:
        sys.exit(1)


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


def _overview(summaries: dict[str, Summary]) -> Table:
    table = Table()
    table.add_column("store", overflow="fold")
    table.add_column("fingerprint", overflow="fold")
    for column in ("sealed", "begun", "done", "failed", "waiting", "rows", "GB"):
        table.add_column(column, justify="right")
    for label, summary in summaries.items():
        begun = f"{summary.under_construction} ({summary.records_under_construction} records)"
        table.add_row(
            label,
            ", ".join(digest[:12] for digest in summary.fingerprints),
            f"{summary.sealed}",
            begun if summary.under_construction else "0",
            f"{summary.done:,}",
            f"{summary.failed:,}",
            f"{summary.planned - summary.done - summary.failed:,}",
            f"{summary.rows:,}",
            f"{summary.size_bytes / GB:,.3f}",
        )
    return table


def _origin(label: str, summary: Summary) -> list[str]:
    """What made the features of a store, and what could not be read."""
    lines = ["", label]
    for digest, fingerprint in summary.fingerprints.items():
        lines.append(f"  fingerprint {digest[:12]}")
        lines += [f"    {name}: {value}" for name, value in fingerprint.parts().items()]
    if len(summary.fingerprints) > 1:
        lines.append("  MIXED: readers refuse these shards together unless told to mix them")
    for provenance, videos in summary.provenances.items():
        lines.append(f"  provenance of {videos:,} videos")
        lines += [f"    {name}: {value}" for name, value in json.loads(provenance).items()]
    return lines + [f"  UNREADABLE {sentence}" for sentence in summary.unreadable]


def main(command: Inspect | Verify) -> None:
    """Do what was asked."""
    if isinstance(command, Verify):
        verify(command)
    else:
        inspect(command)


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Inspect | Verify)))
