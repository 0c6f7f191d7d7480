"""The manifest: every video of a root, where its raw file is, and what is known of it.

A csv with columns video_id,path,category,seconds,frames. The path is relative to the root; a
field is blank where nothing is known. The manifest comes from HowTo100M's csv, which lists videos
that may never be had, or from a folder, which lists what is there.
"""

import csv
import os
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mcn.data.rows import at_line, read_fields, read_rows
from mcn.data.video_id import check_video_id, problem_of

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


COLUMNS = Video._fields
UNKNOWN: tuple[float | None, int | None] = (None, None)


def read_manifest(path: Path) -> list[Video]:
    """The videos of a manifest, in its order.

    Raises:
        ValueError: If a line is malformed or names a video again; names file and line.
    """
    line_of: dict[str, int] = {}
    videos = []
    for line, (video_id, raw, category, seconds, frames) in read_fields(path, COLUMNS):
        if problem_of(video_id):
            check_video_id(video_id, at_line(path, line))
        if line_of.setdefault(video_id, line) != line:
            first = at_line(path, line_of[video_id])
            raise ValueError(f"{at_line(path, line)}: video {video_id!r} is also in {first}")
        try:
            videos.append(
                Video(
                    video_id,
                    raw,
                    category,
                    float(seconds) if seconds else None,
                    int(frames) if frames else None,
                )
            )
        except ValueError as error:
            raise ValueError(f"{at_line(path, line)}: {error}") from error
    return videos


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


def with_lengths(
    videos: Iterable[Video], lengths: Mapping[str, tuple[float | None, int | None]]
) -> list[Video]:
    """The videos, with seconds and frames of those of which they are given."""
    return [
        video
        if (length := lengths.get(video.video_id, UNKNOWN)) == video[3:] or length is UNKNOWN
        else video._replace(seconds=length[0], frames=length[1])
        for video in videos
    ]


def from_howto100m(csv_path: Path, raw_folder: Path) -> list[Video]:
    """The videos of HowTo100M_v1.csv in its order, with the raw files that there are so far.

    The csv repeats a video for every task that it serves (`task_id`, or `task` in some copies);
    the first line counts. The category is `category_1`.
    """
    raw = _raw_files(raw_folder) if raw_folder.exists() else {}
    videos: dict[str, Video] = {}
    for where, row in read_rows(csv_path, ("video_id", "category_1")):
        video_id = row["video_id"]
        if video_id not in videos:
            check_video_id(video_id, where)
            videos[video_id] = Video(video_id, raw.get(video_id, ""), row["category_1"])
    return list(videos.values())


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

    Of two files with one id, `a.mp4` and `a.webm`, the first in the order of names is taken.
    """
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if Path(entry.name).suffix.lower() in RAW_SUFFIXES and _may_be_file(entry)
        )
    raw: dict[str, str] = {}
    for name in names:
        video_id = check_video_id(Path(name).stem, str(folder))
        raw.setdefault(video_id, f"{folder.name}/{name}")
    return raw
