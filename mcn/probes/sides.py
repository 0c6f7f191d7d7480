"""The two sides of a split, as far as there is something to classify by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Real
from sklearn.model_selection import StratifiedGroupKFold

from mcn.data.labelled_videos import LabelledVideos

FEWEST_TRAINING_VIDEOS = 2
"""Of each class: one to train on, one to choose by."""


@dataclass(frozen=True)
class Videos:
    """Videos that have clips."""

    ids: tuple[str, ...]
    labels: Int64[np.ndarray, " videos"]
    groups: tuple[str, ...]

    def folds(self, most: int, seed: int) -> StratifiedGroupKFold:
        """Groups stay together; there are no more folds than videos of the rarest class."""
        rarest = int(np.bincount(self.labels).min())
        return StratifiedGroupKFold(min(most, rarest), shuffle=True, random_state=seed)

    def only(self, places: Int64[np.ndarray, " some"]) -> "Videos":
        """Those at these places."""
        return Videos(
            tuple(self.ids[place] for place in places),
            self.labels[places],
            tuple(self.groups[place] for place in places),
        )


@dataclass(frozen=True)
class Sides:
    """What is trained on, and what is tested."""

    train: Videos
    test: Videos
    missing: Mapping[str, str]
    """Why test videos have no clips."""
    num_left_out: int
    """Training videos that have none."""


def sides_of(
    labelled: LabelledVideos, number: int, missing: Mapping[str, str], title: str
) -> Sides:
    """The sides of a split, counted from 0.

    Raises:
        ValueError: A class has too few training videos that have clips.
    """
    split = labelled.splits[number]
    train = videos_of(labelled, [video_id for video_id in split.train if video_id not in missing])
    counts = np.bincount(train.labels, minlength=len(labelled.classes))
    few = np.flatnonzero(counts < FEWEST_TRAINING_VIDEOS).tolist()
    if few:
        raise ValueError(
            f"{title}: class {labelled.classes[few[0]]!r}"
            + (f" and {len(few) - 1} others have" if len(few) > 1 else " has")
            + f" fewer than {FEWEST_TRAINING_VIDEOS} training videos with features in split "
            f"{number + 1}: jobs/resize.py and jobs/extract.py make them, and jobs/status.py says "
            "why they failed"
        )
    return Sides(
        train,
        videos_of(labelled, [video_id for video_id in split.test if video_id not in missing]),
        {video_id: missing[video_id] for video_id in split.test if video_id in missing},
        sum(video_id in missing for video_id in split.train),
    )


def videos_of(labelled: LabelledVideos, ids: Sequence[str]) -> Videos:
    """These of the annotation."""
    return Videos(
        tuple(ids),
        np.array([labelled.labels[video_id] for video_id in ids], np.int64),
        tuple(labelled.groups[video_id] for video_id in ids),
    )


def ranks_of_own_class(
    scores: Real[np.ndarray, "videos classes"], labels: Int64[np.ndarray, " videos"]
) -> Int64[np.ndarray, " videos"]:
    """How many other classes are not scored lower than a video's own; all where it has no score."""
    own = scores[np.arange(len(labels)), labels]
    others = (~(scores < own[:, None])).sum(axis=1) - 1
    ranks: np.ndarray = np.where(np.isnan(own), scores.shape[1], others)
    return ranks
