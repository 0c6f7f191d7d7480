"""Which file of a folder is which video's: `<id><suffix>.npy` or `.npz`, at any depth."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcn.store.exchange.array_file import UnusableFileError
from mcn.store.layout import is_storable

ARRAY_SUFFIXES = (".npy", ".npz")


@dataclass
class ArrayFolder:
    """The files of a folder by video; two for one id are both kept, for neither is to be chosen."""

    path: Path
    files: dict[str, list[Path]] = field(default_factory=dict)
    unnamed: list[Path] = field(default_factory=list)
    """Files whose names leave no id that a store can hold."""

    def num_bytes(self) -> dict[str, int]:
        """Size of each video's files; 0 for what is not there any more."""
        return {
            video_id: sum(path.stat().st_size for path in paths if path.is_file())
            for video_id, paths in self.files.items()
        }

    def file_of(self, video_id: str) -> Path:
        """The file of a video.

        Raises:
            UnusableFileError: There is none, or more than one, or one that is not to be read.
        """
        paths = self.files.get(video_id, ())
        if len(paths) != 1:
            raise UnusableFileError("two-files" if paths else "missing")
        (path,) = paths
        if path.is_symlink() and not path.resolve().is_relative_to(self.path.resolve()):
            raise UnusableFileError("link-out-of-folder")
        if not path.is_file():  # a FIFO would be waited for
            raise UnusableFileError("no-regular-file")
        return path


def find_arrays(folder: Path, suffix: str = "") -> ArrayFolder:
    """All .npy and .npz files below a folder whose names end in `suffix` before that.

    Links to folders are not followed.

    Raises:
        ValueError: There are none.
    """
    files: defaultdict[str, list[Path]] = defaultdict(list)
    unnamed = []
    for parent, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = Path(parent, name)
            stem = name.removesuffix(path.suffix)
            if path.suffix in ARRAY_SUFFIXES and stem.endswith(suffix):
                video_id = stem[: len(stem) - len(suffix)]
                if video_id and is_storable(video_id):
                    files[video_id].append(path)
                else:
                    unnamed.append(path)
    if not files:
        raise ValueError(
            f"{folder} has no file whose name ends in {suffix}.npy or {suffix}.npz; give the "
            "folder of one kind of features, and what follows the id as --suffix"
        )
    _check_suffix(folder, list(files), suffix)
    return ArrayFolder(folder, {key: sorted(files[key]) for key in sorted(files)}, sorted(unnamed))


def _check_suffix(folder: Path, ids: Sequence[str], suffix: str) -> None:
    """Refuses ids that all have a published ending, for then it is not part of them."""
    for ending in ("_2d", "_3d", "_spec"):
        if not suffix and all(video_id.endswith(ending) for video_id in ids):
            raise ValueError(
                f"{folder}: all names end in {ending}, which is no part of an id; "
                f"say --suffix {ending}"
            )


def _raise(error: OSError) -> None:
    raise error
