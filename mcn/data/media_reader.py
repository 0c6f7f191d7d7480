"""Reads what clips show and let hear from the stores, video by video.

The clips of a video overlap: each of its rows that any of them needs is read once.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64

from mcn.data.batches import ClipRows, Clips, Spectrograms, lacking
from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.data.pooling import pool_max, pool_mean
from mcn.data.scratch import Scratch
from mcn.data.spectrograms import check_spectrograms, read_spectrograms
from mcn.data.stores import Source, Stores
from mcn.modality import Modality

Seconds = Sequence[float] | Float[np.ndarray, " clips"]

SOURCES_OF_VIDEO: tuple[Source, ...] = ("video", "video-3d")


def rows_of_clips(
    start_seconds: Seconds, end_seconds: Seconds, *, rows_per_second: float, num_rows: int
) -> Int64[np.ndarray, "clips 2"]:
    """Half-open ranges of rows that overlap each clip; empty where the video ends before it."""
    first = np.maximum(np.floor(np.asarray(start_seconds) * rows_per_second), 0)
    stop = np.minimum(np.ceil(np.asarray(end_seconds) * rows_per_second), num_rows)
    return np.stack((np.minimum(first, stop), stop), axis=1).astype(np.int64)


class MediaReader:
    """Clips from one store a modality; a video that a store lacks has no such modality.

    Where 3-D features stand beside the 2-D ones, a video that lacks either has no video.
    """

    def __init__(self, stores: Stores, form: ClipForm = DEFAULT_FORM) -> None:
        """Takes the stores, of which video's or audio's may be missing, and the form of clips.

        Raises:
            ValueError: Spectrograms are wanted and not stored, or the other way round.
        """
        if "audio" in stores:
            check_spectrograms(stores["audio"], form)
        self.stores = stores
        self.form = form
        self.sources_of_video = SOURCES_OF_VIDEO[: 1 + ("video-3d" in stores)]
        self._stored, self._widened = Scratch(), Scratch()
        self.dims: dict[Modality, int] = {
            "video": sum(self._dim(source) for source in self.sources_of_video),
            "audio": self._dim("audio"),
        }

    def read(
        self,
        video_id: str,
        start_seconds: Seconds,
        end_seconds: Seconds,
        words: Int32[np.ndarray, "clips words"] | None = None,
        *,
        audio_end_seconds: Seconds | None = None,
    ) -> Clips:
        """Clips of one video: video max-pooled and audio averaged over each, as MCN pools them.

        In the form of spectrograms, audio comes as frames. It may end before the clip does. A clip
        has the same bits alone and among others. Without words, nothing is said in it.
        """
        audio_end = end_seconds if audio_end_seconds is None else audio_end_seconds
        return Clips(
            video_id,
            np.stack((start_seconds, end_seconds), axis=1).astype(np.float64),
            self._video(video_id, start_seconds, end_seconds),
            self._audio(video_id, start_seconds, audio_end),
            np.empty((len(start_seconds), 0), np.int32) if words is None else words,
        )

    def has(self, modality: Modality, video_id: str) -> bool:
        sources = self.sources_of_video if modality == "video" else (modality,)
        return all(source in self.stores and video_id in self.stores[source] for source in sources)

    def _dim(self, source: Source) -> int:
        """Of rows; of a store that there is not nothing is read."""
        return self.stores[source].dim if source in self.stores else 0

    def _video(self, video_id: str, start_seconds: Seconds, end_seconds: Seconds) -> ClipRows:
        """2-D and 3-D features side by side, as many as there are; a clip has both or neither."""
        if not self.has("video", video_id):
            return lacking(len(start_seconds), self.dims["video"])
        kinds = [
            self._pooled(source, video_id, start_seconds, end_seconds)
            for source in self.sources_of_video
        ]
        if self.form.video == "unit-length":
            kinds = [ClipRows(_at_unit_length(rows), has) for rows, has in kinds]
        if len(kinds) == 1:
            return kinds[0]
        has = np.logical_and.reduce([kind.has for kind in kinds])
        rows = np.concatenate([kind.rows for kind in kinds], axis=1)
        return ClipRows(np.where(has[:, None], rows, 0), has)

    def _audio(
        self, video_id: str, start_seconds: Seconds, end_seconds: Seconds
    ) -> ClipRows | Spectrograms:
        most_frames = self.form.spectrogram_frames
        if most_frames is None:
            return self._pooled("audio", video_id, start_seconds, end_seconds)
        if not self.has("audio", video_id):
            return [None] * len(start_seconds)
        ranges = self._ranges("audio", video_id, start_seconds, end_seconds)
        store = self.stores["audio"]
        return read_spectrograms(store, video_id, ranges, most_frames=most_frames)

    def _pooled(
        self, source: Source, video_id: str, start_seconds: Seconds, end_seconds: Seconds
    ) -> ClipRows:
        store = self.stores.get(source)
        if store is None or video_id not in store or store.rows_per_second is None:
            return lacking(len(start_seconds), self._dim(source))
        ranges = self._ranges(source, video_id, start_seconds, end_seconds)
        has = ranges[:, 0] < ranges[:, 1]
        if has.all() and len(has):
            return ClipRows(self._pool(source, video_id, ranges), has)
        pooled = lacking(len(has), store.dim)
        if has.any():
            held = self._pool(source, video_id, ranges[has])
            pooled = ClipRows(np.zeros((len(has), store.dim), held.dtype), has)
            pooled.rows[has] = held
        return pooled

    def _pool(
        self, source: Source, video_id: str, ranges: Int64[np.ndarray, "clips 2"]
    ) -> Float[np.ndarray, "clips dim"]:
        begin, end = int(ranges[:, 0].min()), int(ranges[:, 1].max())
        # One read, gaps included: a disk or a server takes longer over many than over more bytes.
        rows = self.stores[source].read(video_id, begin, end, empty=self._stored.array)
        if source == "audio":
            return pool_mean(rows, ranges - begin, self._widened)
        return pool_max(rows, ranges - begin)

    def _ranges(
        self, source: Source, video_id: str, start_seconds: Seconds, end_seconds: Seconds
    ) -> Int64[np.ndarray, "clips 2"]:
        store = self.stores[source]
        assert store.rows_per_second is not None
        return rows_of_clips(
            start_seconds,
            end_seconds,
            rows_per_second=store.rows_per_second,
            num_rows=store.entry(video_id).num_rows,
        )


def _at_unit_length(rows: Float[np.ndarray, "clips dim"]) -> Float[np.ndarray, "clips dim"]:
    """As torch's normalize has it: a row of zeros stays one."""
    return torch.nn.functional.normalize(torch.from_numpy(rows).float(), dim=1).numpy()
