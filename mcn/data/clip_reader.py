"""Reads what a clip needs from the stores of all modalities."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mcn.data.batches import Clip
from mcn.modality import MODALITIES, Modality
from mcn.store.reader import FeatureStore


def rows_of_clip(
    start_seconds: float, end_seconds: float, *, rows_per_second: float, num_rows: int
) -> tuple[int, int]:
    """The half-open range of rows that overlap the clip; empty where the video ends before it."""
    first = max(0, math.floor(start_seconds * rows_per_second))
    last = end_seconds * rows_per_second
    stop = num_rows if math.isinf(last) else min(num_rows, math.ceil(last))
    return min(first, stop), stop


class ClipReader:
    """Clips from one store a modality; a video that a store lacks has no such modality."""

    def __init__(self, stores: Mapping[Modality, FeatureStore]) -> None:
        self.stores = stores
        self.dims: dict[Modality, int] = {m: stores[m].dim for m in MODALITIES}

    def read(
        self,
        video_id: str,
        start_seconds: float,
        end_seconds: float,
        words: np.ndarray | None,
        *,
        audio_end_seconds: float | None = None,
    ) -> Clip:
        """Video max-pooled and audio averaged over the clip, as MCN pools them.

        Audio may end before the clip does.
        """
        video = self._rows("video", video_id, start_seconds, end_seconds)
        audio_end = end_seconds if audio_end_seconds is None else audio_end_seconds
        audio = self._rows("audio", video_id, start_seconds, audio_end)
        return Clip(
            video_id=video_id,
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            video=None if video is None else video.amax(dim=0).numpy(),
            audio=None if audio is None else audio.mean(dim=0).numpy(),
            words=words,
        )

    def caption_words(
        self, video_id: str, first_caption: int = 0, stop_caption: int | None = None
    ) -> np.ndarray | None:
        """Word vectors of a range of captions; None where none of their words is known."""
        num_rows = self.stores["text"].spans(video_id)["num_rows"]
        ends = np.concatenate(([0], np.cumsum(num_rows)))
        stop = len(num_rows) if stop_caption is None else stop_caption
        first_row, stop_row = int(ends[first_caption]), int(ends[stop])
        if first_row == stop_row:
            return None
        return self.stores["text"].read(video_id, first_row, stop_row).astype(np.float32)

    def has(self, modality: Modality, video_id: str) -> bool:
        return video_id in self.stores[modality]

    def _rows(
        self, modality: Modality, video_id: str, start_seconds: float, end_seconds: float
    ) -> Tensor | None:
        store = self.stores[modality]
        if not self.has(modality, video_id) or store.rows_per_second is None:
            return None
        first, stop = rows_of_clip(
            start_seconds,
            end_seconds,
            rows_per_second=store.rows_per_second,
            num_rows=store.entry(video_id).num_rows,
        )
        if first >= stop:
            return None
        # torch widens half precision several times faster than NumPy.
        return torch.from_numpy(store.read(video_id, first, stop)).float()
