"""Clips of a whole set by number, from wherever they are read: stored features or raw videos."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from mcn.data.batches import ClipBatch
from mcn.modality import Modality


@dataclass(frozen=True)
class Places:
    """Where each clip of a set lies; its number is its place here."""

    video_ids: list[str]
    """Clips of a video are side by side."""
    seconds: Float64[np.ndarray, "clips 2"]
    """Start and end in the video."""

    def __len__(self) -> int:
        return len(self.video_ids)


@runtime_checkable
class ClipSource(Protocol):
    """A set of clips, any of which can be read at any time; can be pickled and forked."""

    @property
    def places(self) -> Places:
        """All clips of the set."""

    @property
    def dims(self) -> dict[Modality, int]:
        """Of the rows of each modality, where there are rows; else of the bands of a spectrogram
        and the channels of a picture.
        """

    def read(self, numbers: Sequence[int], *, draw: int | None = None) -> ClipBatch:
        """Clips side by side, in the order asked for; without words.

        Args:
            numbers: Of the clips.
            draw: Decides, with the number of the clip, what is left to chance in reading it, as
                where a picture is cut; None reads what is most typical.
        """


def cut_evenly(
    durations: Iterable[tuple[str, float]], *, clip_seconds: float, most_per_video: int
) -> Places:
    """Clips of one length, spread evenly over each video that is long enough for one; else all of
    a shorter video is one clip.

    They do not overlap, and there are at most so many of a video.
    """
    video_ids: list[str] = []
    starts: list[float] = []
    ends: list[float] = []
    for video_id, seconds in durations:
        number = min(max(1, int(seconds // clip_seconds)), most_per_video)
        gap = max(0.0, seconds - number * clip_seconds) / (number + 1)
        for index in range(number):
            start = gap + index * (clip_seconds + gap)
            video_ids.append(video_id)
            starts.append(start)
            ends.append(min(start + clip_seconds, seconds))
    return Places(video_ids, np.stack((starts, ends), axis=1).astype(np.float64).reshape(-1, 2))
