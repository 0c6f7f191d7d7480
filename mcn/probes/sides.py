"""The two sides of a split, as far as there is something to classify by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64, Real

from mcn.data.labelled_videos import LabelledVideos

if TYPE_CHECKING:
    from sklearn.model_selection import StratifiedGroupKFold

FEWEST_TRAINING_VIDEOS = 2
"""Of each class: one to train on, one to choose by."""


@dataclass(frozen=True)
class Videos:
    """Videos that have clips."""

    ids: tuple[str, ...]
    labels: Int64[np.ndarray, " videos"]
    groups: tuple[str, ...]

    def folds(self, most: int, seed: int) -> "StratifiedGroupKFold":
        """Groups stay together; there are no more folds than videos of the rarest class here."""
        from sklearn.model_selection import StratifiedGroupKFold  # takes seconds

        rarest = int(np.unique(self.labels, return_counts=True)[1].min())
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
    untaught: tuple[int, ...]
    """Classes that have too few training videos that have clips; none of theirs is trained on."""


class TooFewClassesError(ValueError):
    """There are no two classes to tell apart."""


def sides_of(
    labelled: LabelledVideos, number: int, missing: Mapping[str, str], title: str
) -> Sides:
    """The sides of a split, counted from 0.

    Raises:
        TooFewClassesError: Fewer than two classes have enough training videos that have clips.
    """
    split = labelled.splits[number]
    there = videos_of(labelled, [video_id for video_id in split.train if video_id not in missing])
    counts = np.bincount(there.labels, minlength=len(labelled.classes))
    is_taught = counts >= FEWEST_TRAINING_VIDEOS
    if np.count_nonzero(is_taught) < 2:
        raise TooFewClassesError(
            f"{title}: fewer than two classes have at least {FEWEST_TRAINING_VIDEOS} training "
            f"videos with features in split {number + 1}: jobs/resize.py and jobs/extract.py make "
            "them, and jobs/status.py says why they failed"
        )
    return Sides(
        there.only(np.flatnonzero(is_taught[there.labels])),
        videos_of(labelled, [video_id for video_id in split.test if video_id not in missing]),
        {video_id: missing[video_id] for video_id in split.test if video_id in missing},
        sum(video_id in missing for video_id in split.train),
        tuple(np.flatnonzero(~is_taught).tolist()),
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
