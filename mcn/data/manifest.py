"""The manifest: every video of a root, where its raw file is, and what is known of it.

A csv with columns video_id,path,category,seconds,frames. The path is relative to the root; a
field is blank where nothing is known. The manifest comes from HowTo100M's csv, which lists videos
that may never be had, or from a folder, which lists what is there.
"""

import csv
import os
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int, Shaped

from mcn.data.rows import at_line, read_by_column, read_fields
from mcn.data.video_id import are_plain, check_video_id, problem_of
from mcn.store.ids import Ids, as_ids, places_among

RAW_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts"}
    | {".webm", ".wmv"}
)
"""What a raw file may end in, in small or capital letters."""
SOUND_SUFFIXES = frozenset({".flac", ".m4a", ".ogg", ".wav"})
"""The same for a raw file that is sound alone."""


class Video(NamedTuple):
    """One video of a manifest."""

    video_id: str
    path: str = ""
    """The raw file, relative to the root; empty while there is none."""
    category: str = ""
    seconds: float | None = None
    frames: int | None = None


Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Videos:
    """The videos of a manifest by column: a million of them in a third of the time of objects."""

    video_ids: tuple[str, ...] = ()
    """Each once."""
    paths: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    seconds: tuple[float | None, ...] = ()
    frames: tuple[int | None, ...] = ()

    @classmethod
    def of(cls, videos: Iterable[Video]) -> "Videos":
        """These, in their order."""
        columns = list(zip(*videos, strict=True)) or [()] * len(COLUMNS)
        return cls(**dict(zip(_FIELDS, columns, strict=True)))

    def __len__(self) -> int:
        return len(self.video_ids)

    def __iter__(self) -> Iterator[Video]:
        return map(Video, *(getattr(self, name) for name in _FIELDS))

    def with_files(self, path_of: Mapping[str, str]) -> "Videos":
        """With these raw files and no others; behind it the videos that it does not have yet."""
        left = dict(path_of)
        paths = [left.pop(video_id, "") for video_id in self.video_ids]
        return Videos(
            video_ids=(*self.video_ids, *left),
            paths=(*paths, *left.values()),
            categories=(*self.categories, *repeat("", len(left))),
            seconds=(*self.seconds, *repeat(None, len(left))),
            frames=(*self.frames, *repeat(None, len(left))),
        )

    def with_lengths_of(self, others: "Videos") -> "Videos":
        """With seconds and frames as others have them."""
        seconds = dict(zip(others.video_ids, others.seconds, strict=True))
        frames = dict(zip(others.video_ids, others.frames, strict=True))
        return replace(
            self,
            seconds=tuple(map(seconds.get, self.video_ids)),
            frames=tuple(map(frames.get, self.video_ids)),
        )

    def with_lengths(
        self,
        video_ids: Ids,
        seconds: Float[np.ndarray, " given"],
        frames: Int[np.ndarray, " given"] | None = None,
    ) -> "Videos":
        """With the lengths of those videos of which they are given."""
        places = places_among(as_ids(self.video_ids), video_ids)
        there = np.flatnonzero(places >= 0)
        given = places[there]
        return replace(
            self,
            seconds=_changed(self.seconds, there, seconds[given]),
            frames=self.frames if frames is None else _changed(self.frames, there, frames[given]),
        )


def _changed(
    column: tuple[Number | None, ...],
    places: Int[np.ndarray, " changed"],
    values: Shaped[np.ndarray, " changed"],
) -> tuple[Number | None, ...]:
    """A column with these values at these places."""
    differs = np.array(column, np.float64)[places] != values  # an unknown one is NaN there
    if not differs.any():
        return column
    changed = list(column)
    for place, value in zip(places[differs].tolist(), values[differs].tolist(), strict=True):
        changed[place] = value
    return tuple(changed)


ODD_SHOWN = 5
"""Of the files whose names are no ids, so many are named."""

COLUMNS = Video._fields
_FIELDS = [field.name for field in fields(Videos)]


def read_manifest(path: Path) -> Videos:
    """The videos of a manifest, in its order.

    Raises:
        ValueError: If a line is malformed or names a video again; names file and line.
    """
    video_ids, paths, categories, seconds, frames = read_by_column(path, COLUMNS)
    if are_plain(video_ids) and len(set(video_ids)) == len(video_ids):
        with suppress(ValueError):
            return Videos(
                video_ids=video_ids,
                paths=paths,
                categories=categories,
                seconds=tuple([float(text) if text else None for text in seconds]),
                frames=tuple([int(text) if text else None for text in frames]),
            )
    return Videos.of(_read_by_line(path))


def _read_by_line(path: Path) -> Iterator[Video]:
    """Slowly, but with the line in which something is wrong."""
    line_of: dict[str, int] = {}
    for line, (video_id, raw, category, seconds, frames) in read_fields(path, COLUMNS):
        check_video_id(video_id, at_line(path, line))
        if line_of.setdefault(video_id, line) != line:
            first = at_line(path, line_of[video_id])
            raise ValueError(f"{at_line(path, line)}: video {video_id!r} is also in {first}")
        try:
            yield Video(
                video_id,
                raw,
                category,
                float(seconds) if seconds else None,
                int(frames) if frames else None,
            )
        except ValueError as error:
            raise ValueError(f"{at_line(path, line)}: {error}") from error


def write_manifest(path: Path, videos: Iterable[Video]) -> None:
    """Put a manifest in place, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of another node a process may have the number of this one.
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(videos)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def from_howto100m(csv_path: Path, raw_folder: Path) -> Videos:
    """The videos of HowTo100M_v1.csv in its order, with the raw files that there are so far.

    The csv repeats a video for every task that it serves (`task_id`, or `task` in some copies);
    the first line counts. The category is `category_1`.
    """
    columns = ("video_id", "category_1")
    video_ids, categories = read_by_column(csv_path, columns)
    if not are_plain(video_ids):
        for line, (video_id, _) in read_fields(csv_path, columns):
            check_video_id(video_id, at_line(csv_path, line))
    raw = _raw_files(raw_folder) if raw_folder.exists() else {}
    # From behind, so that the first line of a video has the last word.
    category_of = dict(zip(reversed(video_ids), reversed(categories), strict=True))
    once = tuple(dict.fromkeys(video_ids))
    return Videos(
        video_ids=once,
        paths=tuple([raw.get(video_id, "") for video_id in once]),
        categories=tuple([category_of[video_id] for video_id in once]),
        seconds=(None,) * len(once),
        frames=(None,) * len(once),
    )


def from_folder(raw_folder: Path) -> list[Video]:
    """The videos that lie in a folder, in the order of their ids."""
    if not raw_folder.exists():
        raise FileNotFoundError(f"{raw_folder} is missing: put the videos there, named by id")
    return [Video(video_id, path) for video_id, path in sorted(_raw_files(raw_folder).items())]


def from_tree(raw_folder: Path, suffixes: Collection[str] = RAW_SUFFIXES) -> list[Video]:
    """The videos that lie in a folder or anywhere below it, in the order of their ids.

    Links are followed: what was unpacked elsewhere need not be copied. Names that begin with a dot
    are left out: some systems lay a ._NAME beside each NAME.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If two files have the same id; names both.
    """
    if not raw_folder.exists():
        raise FileNotFoundError(f"{raw_folder} is missing: put the files there, named by id")
    found: dict[str, Path] = {}
    for above, folders, names in os.walk(raw_folder, followlinks=True, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(above, name) for name in sorted(names) if not name.startswith(".")):
            if path.suffix.lower() in suffixes and _may_be_file(path):
                first = found.setdefault(check_video_id(path.stem, above), path)
                if first != path:
                    raise ValueError(f"two files are called {path.stem}: {first} and {path}")
    root = raw_folder.parent
    return [Video(k, path.relative_to(root).as_posix()) for k, path in sorted(found.items())]


def _raise(error: OSError) -> None:
    raise error


def _may_be_file(found: os.DirEntry[str] | Path) -> bool:
    """Whether it is a file; and where nobody can tell now, which whoever reads it will say."""
    try:
        return found.is_file()
    except OSError:
        return True


def _raw_files(folder: Path) -> dict[str, str]:
    """The raw file of each id, relative to the root above the folder.

    Of two files with one id, `a.mp4` and `a.webm`, the first in the order of names is taken. Names
    that begin with ._ are left out: some systems lay one beside each file. So are those that are no
    ids, and a line says which.
    """
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if Path(entry.name).suffix.lower() in RAW_SUFFIXES
            and not entry.name.startswith("._")
            and _may_be_file(entry)
        )
    raw: dict[str, str] = {}
    for name in names:
        raw.setdefault(Path(name).stem, f"{folder.name}/{name}")
    if not are_plain(raw):
        odd = {video_id: problem for video_id in raw if (problem := problem_of(video_id))}
        if odd:
            shown = "; ".join(f"{k!r} {problem}" for k, problem in list(odd.items())[:ODD_SHOWN])
            told = f"{folder}: left out for their names, of {len(odd)} files: {shown}"
            print(told, file=sys.stderr)
        raw = {video_id: path for video_id, path in raw.items() if video_id not in odd}
    return raw
