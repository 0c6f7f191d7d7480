"""A benchmark of classes on disk: its annotation, recognised by its published name.

UCF101    ucfTrainTestlist/
HMDB51    testTrainMulti_7030_splits/, or hmdb51.csv
ESC-50    meta/esc50.csv; its clips are sounds without a picture
"""

from collections.abc import Callable
from pathlib import Path

from mcn.data.esc50 import read_esc50
from mcn.data.hmdb51 import read_hmdb51, read_hmdb51_csv
from mcn.data.labelled_videos import LabelledVideos
from mcn.data.ucf101 import read_ucf101
from mcn.modality import Modality

ESC50_CSV = "meta/esc50.csv"

LABELS: dict[str, Callable[[Path], LabelledVideos]] = {
    "ucfTrainTestlist": read_ucf101,
    "testTrainMulti_7030_splits": read_hmdb51,
    "hmdb51.csv": read_hmdb51_csv,
    ESC50_CSV: read_esc50,
}


def has_labels(folder: Path) -> bool:
    """Whether this is the folder of a benchmark of classes."""
    return any((folder / name).exists() for name in LABELS)


def has_sounds_alone(folder: Path) -> bool:
    """Whether what is judged there is sound: its files need no picture."""
    return (folder / ESC50_CSV).exists()


def modalities_there(folder: Path) -> tuple[Modality, ...]:
    """What the files of this benchmark of classes have: none comes with captions."""
    return ("audio",) if has_sounds_alone(folder) else ("video", "audio")


def read_labels(folder: Path) -> LabelledVideos:
    """The classes and splits of the benchmark in this folder.

    Raises:
        FileNotFoundError: It has no annotation, or part of it is missing; the message says which
            names are known.
        ValueError: An annotation is not right; names file and line.
    """
    for name, read in LABELS.items():
        if (folder / name).exists():
            return read(folder / name)
    raise FileNotFoundError(f"{folder} has no annotation: put one of {', '.join(LABELS)} there")
