"""Reads what clips need from the stores of all modalities, video by video.

The clips of a video overlap: each of its rows that any of them needs is read and widened once.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from mcn.data.batches import Clip
from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.data.pooling import pool_max, pool_mean
from mcn.data.spectrograms import check_spectrograms, read_spectrograms
from mcn.data.stores import Source, Stores
from mcn.modality import MODALITIES, Modality
from mcn.store.reader import FeatureStore

SOURCES_OF_VIDEO: tuple[Source, ...] = ("video", "video-3d")


def rows_of_clips(
    start_seconds: Sequence[float],
    end_seconds: Sequence[float],
    *,
    rows_per_second: float,
    num_rows: int,
) -> Int64[np.ndarray, "clips 2"]:
    """Half-open ranges of rows that overlap each clip; empty where the video ends before it."""
    first = np.floor(np.asarray(start_seconds) * rows_per_second).clip(min=0)
    stop = np.ceil(np.asarray(end_seconds) * rows_per_second).clip(max=num_rows)
    return np.stack((np.minimum(first, stop), stop), axis=1).astype(np.int64)


class ClipReader:
    """Clips from one store a modality; a video that a store lacks has no such modality.

    Where 3-D features stand beside the 2-D ones, a video that lacks either has no video.
    """

    def __init__(self, stores: Stores, form: ClipForm = DEFAULT_FORM) -> None:
        """Takes the stores, and the form in which clips are wanted.

        Raises:
            ValueError: Spectrograms are wanted and not stored, or the other way round.
        """
        check_spectrograms(stores["audio"], form)
        self.stores = stores
        self.form = form
        self.sources_of_video = SOURCES_OF_VIDEO[: 1 + ("video-3d" in stores)]
        self.dims: dict[Modality, int] = {m: stores[m].dim for m in MODALITIES}
        self.dims["video"] = sum(stores[source].dim for source in self.sources_of_video)

    def read(
        self,
        video_id: str,
        start_seconds: float,
        end_seconds: float,
        words: np.ndarray | None,
        *,
        audio_end_seconds: float | None = None,
    ) -> Clip:
        """One clip; many of the same video are read faster together (`read_all`)."""
        audio_end = None if audio_end_seconds is None else [audio_end_seconds]
        clips = self.read_all(
            video_id, [start_seconds], [end_seconds], [words], audio_end_seconds=audio_end
        )
        return clips[0]

    def read_all(
        self,
        video_id: str,
        start_seconds: Sequence[float],
        end_seconds: Sequence[float],
        words: Sequence[np.ndarray | None],
        *,
        audio_end_seconds: Sequence[float] | None = None,
    ) -> list[Clip]:
        """Clips of one video: video max-pooled and audio averaged over each, as MCN pools them.

        In the form of spectrograms, audio comes as frames. It may end before the clip does. A clip
        has the same bits alone and among others.
        """
        audio_end = end_seconds if audio_end_seconds is None else audio_end_seconds
        video = self._video(video_id, start_seconds, end_seconds)
        audio = self._audio(video_id, start_seconds, audio_end)
        return [
            Clip(video_id, *parts)
            for parts in zip(start_seconds, end_seconds, video, audio, words, strict=True)
        ]

    def caption_words(
        self, video_id: str, first_caption: int, stop_caption: int
    ) -> np.ndarray | None:
        """Word vectors of a range of captions; None where none of their words is known."""
        return self.words_of_captions(video_id, [(first_caption, stop_caption)])[0]

    def words_of_captions(
        self, video_id: str, ranges: Sequence[tuple[int, int]]
    ) -> list[np.ndarray | None]:
        """Word vectors of each range of captions, as stored; where ranges overlap they share rows.

        None where none of a range's words is known.
        """
        if not ranges:
            return []
        num_rows = self.stores["text"].spans(video_id)["num_rows"]
        ends = np.concatenate(([0], np.cumsum(num_rows))).tolist()
        places = [(ends[first], ends[stop]) for first, stop in ranges]
        begin = min(first for first, _ in places)
        rows = self.stores["text"].read(video_id, begin, max(stop for _, stop in places))
        return [
            rows[first - begin : stop - begin] if first < stop else None for first, stop in places
        ]

    def has(self, modality: Modality, video_id: str) -> bool:
        sources = self.sources_of_video if modality == "video" else (modality,)
        return all(video_id in self.stores[source] for source in sources)

    def _video(
        self, video_id: str, start_seconds: Sequence[float], end_seconds: Sequence[float]
    ) -> list[np.ndarray | None]:
        """2-D and 3-D features side by side, as many as there are; None where either is missing."""
        if not self.has("video", video_id):
            return [None] * len(start_seconds)
        kinds = [
            self._pooled(source, video_id, start_seconds, end_seconds)
            for source in self.sources_of_video
        ]
        if self.form.video == "unit-length":
            kinds = [[_unit(row) for row in rows] for rows in kinds]
        return [_side_by_side(parts) for parts in zip(*kinds, strict=True)]

    def _audio(
        self, video_id: str, start_seconds: Sequence[float], end_seconds: Sequence[float]
    ) -> list[np.ndarray | None]:
        if not self.has("audio", video_id):
            return [None] * len(start_seconds)
        most_frames = self.form.spectrogram_frames
        if most_frames is None:
            return self._pooled("audio", video_id, start_seconds, end_seconds)
        ranges = self._ranges("audio", video_id, start_seconds, end_seconds)
        store = self.stores["audio"]
        return read_spectrograms(store, video_id, ranges, most_frames=most_frames)

    def _pooled(
        self,
        source: Source,
        video_id: str,
        start_seconds: Sequence[float],
        end_seconds: Sequence[float],
    ) -> list[np.ndarray | None]:
        pooled: list[np.ndarray | None] = [None] * len(start_seconds)
        if self.stores[source].rows_per_second is None:
            return pooled
        ranges = self._ranges(source, video_id, start_seconds, end_seconds)
        (held,) = np.nonzero(ranges[:, 0] < ranges[:, 1])
        if len(held):
            pool = pool_mean if source == "audio" else pool_max
            rows = pool(*_read(self.stores[source], video_id, ranges[held]))
            for place, row in zip(held.tolist(), rows, strict=True):
                pooled[place] = row
        return pooled

    def _ranges(
        self,
        source: Source,
        video_id: str,
        start_seconds: Sequence[float],
        end_seconds: Sequence[float],
    ) -> Int64[np.ndarray, "clips 2"]:
        store = self.stores[source]
        assert store.rows_per_second is not None
        return rows_of_clips(
            start_seconds,
            end_seconds,
            rows_per_second=store.rows_per_second,
            num_rows=store.entry(video_id).num_rows,
        )


def _unit(row: np.ndarray | None) -> np.ndarray | None:
    """At length 1, as torch's normalize has it: a row of zeros stays one."""
    return None if row is None else row / max(float(np.linalg.norm(row)), 1e-12)


def _side_by_side(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """One row of them all; None where any is missing."""
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if len(present) == len(parts) else None


def _read(
    store: FeatureStore, video_id: str, ranges: Int64[np.ndarray, "clips 2"]
) -> tuple[Float32[Tensor, "rows dim"], Int64[np.ndarray, "clips 2"]]:
    """The rows of all ranges, each once, and the ranges as places among them."""
    runs = _union(ranges)
    counts = runs[:, 1] - runs[:, 0]
    stops = np.cumsum(counts)
    begin = int(runs[0, 0])
    # One read, gaps included: a disk or a server takes longer over many than over more bytes.
    stored = torch.from_numpy(store.read(video_id, begin, int(runs[-1, 1])))
    rows = torch.empty(int(stops[-1]), store.dim)
    for (first, stop), place in zip(runs.tolist(), (stops - counts).tolist(), strict=True):
        # torch widens half precision several times faster than NumPy.
        rows[place : place + stop - first] = stored[first - begin : stop - begin]
    run = np.searchsorted(runs[:, 0], ranges[:, 0], side="right") - 1
    return rows, ranges + (stops - runs[:, 1])[run][:, None]


def _union(ranges: Int64[np.ndarray, "clips 2"]) -> Int64[np.ndarray, "runs 2"]:
    """Ranges that hold what these hold, in order, none touching the next."""
    firsts = np.sort(ranges[:, 0])
    reached = np.maximum.accumulate(ranges[np.argsort(ranges[:, 0], kind="stable"), 1])
    begins = np.concatenate(([True], firsts[1:] > reached[:-1]))
    ends = np.concatenate((begins[1:], [True]))
    return np.stack((firsts[begins], reached[ends]), axis=1)
