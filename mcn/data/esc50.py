"""ESC-50's own file (Piczak, 2015), `meta/esc50.csv`: a row for each clip of 5 seconds.

    filename,fold,target,category,esc10,src_file,take
    1-100032-A-0.wav,1,0,dog,True,100032,A

There are five folds, each of which is the test set of one split. All clips of a recording
(`src_file`) are in one fold.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath

from mcn.data.labelled_videos import Entry, LabelledVideos, labelled_videos
from mcn.data.rows import read_rows

NUM_FOLDS = 5
COLUMNS = ("filename", "fold", "target", "category", "src_file")

Row = tuple[str, Mapping[str, str]]


def read_esc50(path: Path) -> LabelledVideos:
    """The clips; the published file has 2,000.

    Raises:
        ValueError: If a column is missing, a row is not right, or rows contradict each other;
            names file and line.
    """
    rows: list[Row] = list(read_rows(path, COLUMNS))
    return labelled_videos(
        _entries(rows),
        _classes(rows, path),
        num_splits=NUM_FOLDS,
        modalities=("audio",),
        path=path,
    )


def _classes(rows: Iterable[Row], path: Path) -> list[str]:
    names: dict[int, str] = {}
    for where, row in rows:
        target = row["target"]
        if not target.isdecimal():
            raise ValueError(f"{where}: target {target!r} is not the number of a class")
        if names.setdefault(int(target), row["category"]) != row["category"]:
            raise ValueError(
                f"{where}: class {target} is {row['category']!r} here, and "
                f"{names[int(target)]!r} in an earlier line"
            )
    missing = set(range(len(names))).difference(names)
    if missing:
        raise ValueError(f"{path}: of {len(names)} classes none has the target {min(missing)}")
    if len(set(names.values())) < len(names):
        raise ValueError(f"{path}: two targets have the same category")
    return [names[target] for target in sorted(names)]


def _entries(rows: Iterable[Row]) -> Iterator[Entry]:
    folds = [str(fold + 1) for fold in range(NUM_FOLDS)]
    for where, row in rows:
        if row["fold"] not in folds:
            raise ValueError(f"{where}: fold {row['fold']!r} is none of {', '.join(folds)}")
        for split, fold in enumerate(folds):
            yield Entry(
                where,
                PurePath(row["filename"]).stem,
                int(row["target"]),
                row["src_file"],
                split,
                "test" if row["fold"] == fold else "train",
            )
