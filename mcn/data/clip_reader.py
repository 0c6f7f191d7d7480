"""Reads what clips need from the stores of all modalities, video by video.

The clips of a video overlap: each of its rows that any of them needs is read once.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from mcn.data.batches import NO_WORD, ClipRows, Clips, lacking
from mcn.data.pooling import pool_max, pool_mean
from mcn.data.scratch import Scratch
from mcn.modality import Modality
from mcn.store.reader import FeatureStore
from mcn.store.word_table import WordTable

Seconds = Sequence[float] | Float[np.ndarray, " clips"]


def rows_of_clips(
    start_seconds: Seconds, end_seconds: Seconds, *, rows_per_second: float, num_rows: int
) -> Int64[np.ndarray, "clips 2"]:
    """Half-open ranges of rows that overlap each clip; empty where the video ends before it."""
    first = np.maximum(np.floor(np.asarray(start_seconds) * rows_per_second), 0)
    stop = np.minimum(np.ceil(np.asarray(end_seconds) * rows_per_second), num_rows)
    return np.stack((np.minimum(first, stop), stop), axis=1).astype(np.int64)


class ClipReader:
    """Clips from one store a modality; a video that a store lacks has no such modality."""

    def __init__(self, stores: Mapping[Modality, FeatureStore]) -> None:
        self.stores = stores
        self._stored, self._widened = Scratch(), Scratch()
        text = stores["text"]
        self.words = WordTable.below(text.folder.parent, text.fingerprint)
        self.dims: dict[Modality, int] = {
            "video": stores["video"].dim,
            "audio": stores["audio"].dim,
            "text": self.words.dim,
        }

    def read(
        self,
        video_id: str,
        start_seconds: Seconds,
        end_seconds: Seconds,
        words: Int32[np.ndarray, "clips words"],
        *,
        audio_end_seconds: Seconds | None = None,
    ) -> Clips:
        """Clips of one video: video max-pooled and audio averaged over each, as MCN pools them.

        Audio may end before the clip does. A clip has the same bits alone and among others.
        """
        audio_end = end_seconds if audio_end_seconds is None else audio_end_seconds
        return Clips(
            video_id,
            np.stack((start_seconds, end_seconds), axis=1).astype(np.float64),
            self._pooled("video", video_id, start_seconds, end_seconds),
            self._pooled("audio", video_id, start_seconds, audio_end),
            words,
        )

    def caption_words(
        self, video_id: str, ranges: Sequence[tuple[int, int]], *, max_words: int
    ) -> Int32[np.ndarray, "ranges max_words"]:
        """The words of each half-open range of captions by number, cut off after so many."""
        words = np.full((len(ranges), max_words), NO_WORD, np.int32)
        if not ranges:
            return words
        num_rows = self.stores["text"].spans(video_id)["num_rows"]
        places = np.append(0, np.cumsum(num_rows))[np.asarray(ranges)]
        begin, end = int(places.min()), int(places.max())
        numbers = self.stores["text"].read(video_id, begin, end)[:, 0]
        if len(numbers) and numbers.max() >= self.words.num_words:
            raise ValueError(
                f"video {video_id!r} in {self.stores['text'].folder} has words that are not in "
                f"{self.words.folder}"
            )
        at = places[:, :1] - begin + np.arange(max_words)
        is_word = at < places[:, 1:] - begin
        words[is_word] = numbers[at[is_word]]
        return words

    def has(self, modality: Modality, video_id: str) -> bool:
        return video_id in self.stores[modality]

    def _pooled(
        self, modality: Modality, video_id: str, start_seconds: Seconds, end_seconds: Seconds
    ) -> ClipRows:
        store = self.stores[modality]
        if not self.has(modality, video_id) or store.rows_per_second is None:
            return lacking(len(start_seconds), store.dim)
        ranges = rows_of_clips(
            start_seconds,
            end_seconds,
            rows_per_second=store.rows_per_second,
            num_rows=store.entry(video_id).num_rows,
        )
        has = ranges[:, 0] < ranges[:, 1]
        if has.all() and len(has):
            return ClipRows(self._pool(modality, video_id, ranges), has)
        pooled = lacking(len(has), store.dim)
        if has.any():
            held = self._pool(modality, video_id, ranges[has])
            pooled = ClipRows(np.zeros((len(has), store.dim), held.dtype), has)
            pooled.rows[has] = held
        return pooled

    def _pool(
        self, modality: Modality, video_id: str, ranges: Int64[np.ndarray, "clips 2"]
    ) -> Float[np.ndarray, "clips dim"]:
        begin, end = int(ranges[:, 0].min()), int(ranges[:, 1].max())
        # One read, gaps included: a disk or a server takes longer over many than over more bytes.
        rows = self.stores[modality].read(video_id, begin, end, empty=self._stored.array)
        if modality == "video":
            return pool_max(rows, ranges - begin)
        return pool_mean(rows, ranges - begin, self._widened)


def word_vectors(reader: ClipReader) -> Float[Tensor, "words text_dim"]:
    """The vectors of all words that batches have by number, mapped from the table's file.

    Raises:
        ValueError: They are not as they were written.
    """
    return torch.from_numpy(reader.words.checked_vectors())
