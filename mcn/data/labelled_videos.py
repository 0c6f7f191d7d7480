"""Videos with a class each, and the splits on which a classifier of them is trained and tested."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from mcn.data.video_id import check_video_id
from mcn.modality import Modality

Side = Literal["train", "test", "unused"]


@dataclass(frozen=True)
class Split:
    """One way to part the videos; in the order of the annotation."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class LabelledVideos:
    """What an annotation says of its videos."""

    classes: tuple[str, ...]
    """Their names, in the order of their numbers."""
    labels: Mapping[str, int]
    """Number of each video's class; some videos may be in no split."""
    groups: Mapping[str, str]
    """What each video was cut from: those of one group are no independent evidence."""
    splits: tuple[Split, ...]
    """All that the benchmark has; its number is their mean."""
    modalities: tuple[Modality, ...]
    """What may be judged by the labels, that after which they were given first."""


class Entry(NamedTuple):
    """Where a video belongs in one split, by one line of an annotation."""

    where: str
    """The line, as errors speak of it."""
    video_id: str
    label: int
    group: str
    split: int
    """Counted from 0."""
    side: Side


def labelled_videos(
    entries: Iterable[Entry],
    classes: Iterable[str],
    *,
    num_splits: int,
    modalities: tuple[Modality, ...],
    path: Path,
) -> LabelledVideos:
    """What these lines say together.

    Args:
        entries: One a line; a video comes once in a split at most.
        classes: In the order of their numbers.
        num_splits: Each has videos on both sides.
        modalities: What may be judged by the labels.
        path: Where the lines are from.

    Raises:
        ValueError: If a video is twice in a split or has two classes, an id cannot name a file, or
            a side of a split is empty; names file and line.
    """
    names = tuple(classes)
    labels: dict[str, int] = {}
    groups: dict[str, str] = {}
    lines: list[dict[str, Entry]] = [{} for _ in range(num_splits)]
    for entry in entries:
        video_id = check_video_id(entry.video_id, entry.where)
        first = lines[entry.split].setdefault(video_id, entry)
        if first is not entry:
            raise ValueError(
                f"{entry.where}: video {video_id!r} is there again in split {entry.split + 1} "
                f"({entry.side}), after {first.where} ({first.side})"
            )
        if labels.setdefault(video_id, entry.label) != entry.label:
            raise ValueError(
                f"{entry.where}: video {video_id!r} is of class {names[entry.label]!r} here, and "
                f"of {names[labels[video_id]]!r} in an earlier line"
            )
        groups[video_id] = entry.group
    splits = tuple(Split(_side(of, "train"), _side(of, "test")) for of in lines)
    for number, split in enumerate(splits, start=1):
        if not split.train or not split.test:
            raise ValueError(
                f"{path}: split {number} has {len(split.train)} videos to train on and "
                f"{len(split.test)} to test; both are needed"
            )
    return LabelledVideos(names, labels, groups, splits, modalities)


def _side(lines: Mapping[str, Entry], side: Side) -> tuple[str, ...]:
    return tuple(video_id for video_id, entry in lines.items() if entry.side == side)
