"""Which sealed shards a store had: readers that are pinned to it see those, and nothing newer.

A file with the checksum of each shard's label, which has checksums of all the rest; so a shard
that was replaced by another one is noticed, and one that was made again to the byte is the same.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mcn.store.aside import written_aside
from mcn.store.layout import canonical_json
from mcn.store.shard import SealedShard, open_shard, shard_paths

_FORMAT = "mcn-snapshot-1"

Labels = dict[str, int]
"""The shards of one folder: checksums of their labels by file name."""


@dataclass(frozen=True)
class Snapshot:
    """The shards of some folders of a store."""

    folders: dict[str, Labels]
    """By name of the folder."""

    @classmethod
    def take(cls, folders: Iterable[Path]) -> "Snapshot":
        """What is sealed now."""
        return cls({folder.name: _labels(folder) for folder in folders})

    @classmethod
    def read(cls, path: Path) -> "Snapshot":
        """The snapshot of a file.

        Raises:
            ValueError: The file is none.
        """
        try:
            found = json.loads(path.read_bytes())
            if found["format"] != _FORMAT:
                raise ValueError(f"its format is {found['format']!r}, not {_FORMAT!r}")
            return cls(found["folders"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no snapshot of a store: {error}") from error

    def write(self, path: Path) -> None:
        """Puts it into a file that must not be there yet, whole or not at all.

        Raises:
            FileExistsError: It is there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        with written_aside(own) as file:
            about = {"format": _FORMAT, "folders": self.folders}
            file.write(canonical_json(about).encode() + b"\n")
        try:
            os.link(own, path)
        finally:
            own.unlink()

    def keep(self, path: Path) -> "Snapshot":
        """The snapshot at `path`, which is this one where there was none.

        All processes that come at the same time get the same one, whatever each of them has.
        """
        with contextlib.suppress(FileExistsError):
            self.write(path)
        return Snapshot.read(path)

    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal digits."""
        return sha256(canonical_json(self.folders).encode()).hexdigest()

    def labels(self, folder: Path) -> Labels:
        """The shards of one folder.

        Raises:
            ValueError: The folder was none of those.
        """
        if folder.name not in self.folders:
            raise ValueError(f"the snapshot knows nothing of {folder}; it has {[*self.folders]}")
        return self.folders[folder.name]


def pinned_shards(folder: Path, labels: Labels) -> list[SealedShard]:
    """Just these shards of a folder, by name.

    Raises:
        FileNotFoundError: There are none.
        ValueError: One has gone, has changed or cannot be read.
    """
    if not labels:
        raise FileNotFoundError(f"the snapshot has no shards of {folder}; take it later")
    shards = []
    for name in sorted(labels):
        path = folder / name
        if not path.exists():
            raise ValueError(f"{path} was in the snapshot and is gone; {_WAY_OUT}")
        shard = open_shard(path)
        if shard.label_crc32c != labels[name]:
            raise ValueError(f"{path} is not the shard that was in the snapshot; {_WAY_OUT}")
        shards.append(shard)
    return shards


_WAY_OUT = "bring it back, or begin anew with another snapshot"


def _labels(folder: Path) -> Labels:
    return {path.name: open_shard(path).label_crc32c for path in shard_paths(folder)}
