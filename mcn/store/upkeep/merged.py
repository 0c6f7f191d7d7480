"""Which shards went into which: `00003.merged` says that nothing is left to be done for 00003.

A merged shard has a name that no plan gives (merged-00000), so later plans never meet it. Its
records are those of the shards that went into it, one behind the other.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mcn.store.aside import written_aside
from mcn.store.layout import canonical_json

MERGED_SUFFIX = ".merged"
UNMERGED_SUFFIX = ".unmerged"
"""Once the merged shard is broken: what is left of it goes back to the shards it was made of."""
MERGED_PREFIX = "merged-"


@dataclass(frozen=True)
class Merged:
    """A planned shard that went into another one."""

    shard: str
    into: str
    first: int
    """Entries [first, stop) of the index there are its own."""
    stop: int

    def path(self, folder: Path) -> Path:
        return folder / f"{self.shard}{MERGED_SUFFIX}"

    def write(self, folder: Path) -> None:
        with written_aside(self.path(folder)) as file:
            file.write(canonical_json(asdict(self)).encode() + b"\n")


def is_merged(shard: Path) -> bool:
    """Whether a shard's records are in another one."""
    return shard.with_suffix(MERGED_SUFFIX).exists()


def read_merged(folder: Path) -> list[Merged]:
    """The shards of a folder that went into others, as their records follow each other there."""
    return _read(folder, MERGED_SUFFIX)


def unmerge(folder: Path, into: str) -> list[Merged]:
    """Says that each shard in `into` is to be made for itself again; returns all of them."""
    for merged in read_merged(folder):
        if merged.into == into:
            path = merged.path(folder)
            path.rename(path.with_suffix(UNMERGED_SUFFIX))
    return [unmerged for unmerged in _read(folder, UNMERGED_SUFFIX) if unmerged.into == into]


def forget_unmerged(folder: Path, shards: list[Merged]) -> None:
    """Removes what `unmerge` left."""
    for merged in shards:
        merged.path(folder).with_suffix(UNMERGED_SUFFIX).unlink(missing_ok=True)


def _read(folder: Path, suffix: str) -> list[Merged]:
    found = [Merged(**json.loads(path.read_text())) for path in folder.glob(f"*{suffix}")]
    return sorted(found, key=lambda merged: (merged.into, merged.first))
