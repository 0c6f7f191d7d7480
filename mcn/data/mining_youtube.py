"""Mining YouTube's own files (Kuehne et al., 2019): classes, transcripts, and a class a frame.

    mapping_without_meta.txt    a class a line: its number and its name; 512 and the background
    transcripts/<id>.txt        names of classes in the order in which they are seen, in one line
    groundTruth/<id>.txt        the name of the class of each frame, one a line

Its alignment example comes with a list of bare names instead; their numbers are those of the
lines, from 0. A name is a verb and an object, as in `crack_egg`. How many frames a second has is
not in these files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from mcn.data.video_id import check_video_id

TRANSCRIPTS, GROUND_TRUTH = "transcripts", "groundTruth"


@dataclass(frozen=True, eq=False)
class AlignedVideo:
    """What is done in a video, in order, and frame by frame."""

    transcript: tuple[int, ...]
    frame_classes: Int[np.ndarray, " frames"]


def read_classes(path: Path | str) -> dict[str, int]:
    """Numbers of the classes by their names.

    Raises:
        ValueError: If a line is neither a number and a name nor a name, or a name or a number is
            there twice; names file and line.
    """
    path = Path(path)
    classes: dict[str, int] = {}
    for line, fields in enumerate(_lines(path)):
        where = f"{path}, line {line + 1}"
        if not fields:
            continue
        number, name = (str(line), fields[0]) if len(fields) == 1 else (fields[0], fields[1])
        if len(fields) > 2 or not number.isdecimal():
            raise ValueError(f"{where}: {' '.join(fields)!r} is no number and name of a class")
        if name in classes or int(number) in classes.values():
            raise ValueError(f"{where}: class {name!r} or its number {number} is there twice")
        classes[name] = int(number)
    return classes


def text_of_class(name: str) -> str:
    """The words of a class, which stand for it where it is compared with videos."""
    return name.replace("_", " ")


def read_transcript(path: Path | str, classes: Mapping[str, int]) -> tuple[int, ...]:
    """The classes of a video in order.

    Raises:
        ValueError: If there are several lines (several transcripts, in the published format) or
            none, or a name is of no class; names the file.
    """
    path = Path(path)
    lines = [fields for fields in _lines(path) if fields]
    if len(lines) != 1:
        raise ValueError(f"{path} has {len(lines)} transcripts, a line each, instead of one")
    return tuple(_class(name, classes, str(path)) for name in lines[0])


def read_ground_truth(path: Path | str, classes: Mapping[str, int]) -> Int[np.ndarray, " frames"]:
    """The class of each frame.

    Raises:
        ValueError: If a line is not the name of one class; names file and line.
    """
    path = Path(path)
    return np.array(
        [
            _class(" ".join(fields), classes, f"{path}, line {line}")
            for line, fields in enumerate(_lines(path), start=1)
        ],
        dtype=np.int64,
    )


def read_mining_youtube(folder: Path | str, classes: Mapping[str, int]) -> dict[str, AlignedVideo]:
    """Every video that has a ground truth, by its id; the published test set has 250.

    Args:
        folder: Has the folders transcripts/ and groundTruth/.
        classes: Their numbers, by `read_classes`.

    Raises:
        FileNotFoundError: If there is no ground truth, or no transcript for one.
        ValueError: If a file is not right; names file and line.
    """
    folder = Path(folder)
    paths = sorted((folder / GROUND_TRUTH).glob("*.txt"))
    if not paths:
        raise FileNotFoundError(f"{folder / GROUND_TRUTH} has no <video id>.txt")
    return {
        check_video_id(path.stem, str(path)): AlignedVideo(
            transcript=read_transcript(folder / TRANSCRIPTS / path.name, classes),
            frame_classes=read_ground_truth(path, classes),
        )
        for path in paths
    }


def _class(name: str, classes: Mapping[str, int], where: str) -> int:
    if name not in classes:
        raise ValueError(f"{where}: {name!r} is none of the {len(classes)} classes")
    return classes[name]


def _lines(path: Path) -> list[list[str]]:
    """The fields of each line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    return [line.split() for line in text.rstrip().split("\n")]
