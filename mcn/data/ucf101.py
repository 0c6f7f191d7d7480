"""UCF101's own files (Soomro et al., 2012), in the folder `ucfTrainTestlist/`.

    classInd.txt              1 ApplyEyeMakeup                                       number and name
    trainlist01.txt to 03     ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1          file and number
    testlist01.txt to 03      ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi

A clip is called by its class, the group of clips that were cut from one video, and its number in
the group; the class of HandstandPushups is spelt otherwise in its clips' names than in the lists.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcn.data.labelled_videos import Entry, LabelledVideos, Side, labelled_videos
from mcn.data.lines import read_lines

NUM_SPLITS = 3
CLIP = re.compile(r"v_.+_(?P<group>g\d+)_c\d+")


def read_ucf101(folder: Path) -> LabelledVideos:
    """The clips of the three splits; the published lists have 13,320.

    Raises:
        FileNotFoundError: If a list is missing.
        ValueError: If a line is not right, or lists contradict each other; names file and line.
    """
    numbers = read_class_numbers(folder / "classInd.txt")
    return labelled_videos(
        _entries(folder, numbers),
        numbers,
        num_splits=NUM_SPLITS,
        modalities=("video", "audio"),
        path=folder,
    )


def read_class_numbers(path: Path) -> dict[str, int]:
    """Numbers of the classes by their names, from 0 and in their order.

    Raises:
        ValueError: If a line is no number and name, numbers do not rise from 1 one by one, or a
            name is there twice; names file and line.
    """
    numbers: dict[str, int] = {}
    for where, line in read_lines(path):
        number, _, name = line.partition(" ")
        if number != str(len(numbers) + 1) or not name.strip():
            raise ValueError(f"{where}: {line!r} is not {len(numbers) + 1} and the name of a class")
        if name.strip() in numbers:
            raise ValueError(f"{where}: class {name.strip()!r} is there twice")
        numbers[name.strip()] = len(numbers)
    return numbers


def _entries(folder: Path, numbers: Mapping[str, int]) -> Iterator[Entry]:
    for split in range(NUM_SPLITS):
        for where, line in read_lines(folder / f"trainlist{split + 1:02d}.txt"):
            file, _, number = line.rpartition(" ")
            entry = _entry(where, file, split, "train", numbers)
            if number != str(entry.label + 1):
                raise ValueError(
                    f"{where}: {line!r} does not end in {entry.label + 1}, the number of its class"
                )
            yield entry
        for where, line in read_lines(folder / f"testlist{split + 1:02d}.txt"):
            yield _entry(where, line, split, "test", numbers)


def _entry(where: str, file: str, split: int, side: Side, numbers: Mapping[str, int]) -> Entry:
    name, _, clip = file.partition("/")
    video_id = clip.removesuffix(".avi")
    match = CLIP.fullmatch(video_id)
    if match is None or video_id == clip:
        raise ValueError(f"{where}: {file!r} is not CLASS/v_CLASS_g08_c01.avi")
    if name not in numbers:
        raise ValueError(f"{where}: {name!r} is none of the {len(numbers)} classes of classInd.txt")
    return Entry(where, video_id, numbers[name], f"{name}_{match['group']}", split, side)
