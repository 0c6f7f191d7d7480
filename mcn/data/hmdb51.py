"""HMDB51's own files (Kuehne et al., 2011), and the one csv in which others hand them on.

    testTrainMulti_7030_splits/<class>_test_split<1..3>.txt    name.avi 1
    hmdb51.csv        video_id,label,split1,split2,split3      name.avi,<class>_test,1,0,2

1 is to train, 2 to test and 0 unused: a clip may be in no split at all. A clip is called by the
film, its class, and how it was taken: `(Rad)Schlag_die_Bank!_cartwheel_f_cm_np1_le_med_0`; one that
is called otherwise is a group of its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mcn.data.labelled_videos import Entry, LabelledVideos, Side, labelled_videos
from mcn.data.lines import read_lines
from mcn.data.rows import read_rows

NUM_SPLITS = 3
SIDES: dict[str, Side] = {"0": "unused", "1": "train", "2": "test"}
SPLIT_FILE = re.compile(r"(?P<name>.+)_test_split[1-3]")


def read_hmdb51(folder: Path) -> LabelledVideos:
    """The clips of the published folder of splits, which has 51 classes; these are in order.

    Raises:
        FileNotFoundError: If the file of a class and split is missing.
        ValueError: If a line is not right, or files contradict each other; names file and line.
    """
    matches = (SPLIT_FILE.fullmatch(path.stem) for path in folder.glob("*.txt"))
    classes = sorted({match["name"] for match in matches if match})
    return labelled_videos(
        _entries_of_folder(folder, classes),
        classes,
        num_splits=NUM_SPLITS,
        modalities=("video", "audio"),
        path=folder,
    )


def read_hmdb51_csv(path: Path) -> LabelledVideos:
    """The clips of `hmdb51.csv`: the same as those of the folder, 6,766.

    Raises:
        ValueError: If a column is missing or a row is not right; names file and line.
    """
    columns = [f"split{split + 1}" for split in range(NUM_SPLITS)]
    rows = [
        (where, row["video_id"], row["label"].removesuffix("_test"), [row[c] for c in columns])
        for where, row in read_rows(path, ("video_id", "label", *columns))
    ]
    classes = sorted({name for _, _, name, _ in rows})
    numbers = {name: number for number, name in enumerate(classes)}
    entries = (
        _entry(where, file, name, numbers[name], split, side)
        for where, file, name, sides in rows
        for split, side in enumerate(sides)
    )
    return labelled_videos(
        entries, classes, num_splits=NUM_SPLITS, modalities=("video", "audio"), path=path
    )


def _entries_of_folder(folder: Path, classes: list[str]) -> Iterator[Entry]:
    for label, name in enumerate(classes):
        for split in range(NUM_SPLITS):
            for where, line in read_lines(folder / f"{name}_test_split{split + 1}.txt"):
                file, _, side = line.rpartition(" ")
                yield _entry(where, file.strip(), name, label, split, side)


def _entry(where: str, file: str, name: str, label: int, split: int, side: str) -> Entry:
    video_id = file.removesuffix(".avi")
    if video_id == file:
        raise ValueError(f"{where}: {file!r} is not the name of an .avi")
    if side not in SIDES:
        raise ValueError(f"{where}: {side!r} is none of 0 (unused), 1 (train) and 2 (test)")
    film, found, _ = video_id.rpartition(f"_{name}_")
    return Entry(where, video_id, label, film if found else video_id, split, SIDES[side])
