"""Clips from one file a video and modality, pooled as one would write it down: clip by clip."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mcn.data.batches import Clip
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import Stores
from mcn.modality import Modality
from tests.benchmarks.feature_files import Rows

Load = Callable[[Path], NDArray[np.floating]]
"""The rows of a file, or a view of them."""


def load_widened(path: Path) -> NDArray[np.floating]:
    """All rows at once in single precision."""
    rows: Rows = np.load(path)
    return rows.astype(np.float32)


def map_to_memory(path: Path) -> Rows:
    """Rows that are read where they are used."""
    rows: Rows = np.load(path, mmap_mode="r")
    return rows


def load_zipped(path: Path) -> NDArray[np.floating]:
    """All rows of the archive that the published loader of MCN expects, in single precision."""
    with np.load(path.with_suffix(".npz")) as archive:
        rows: Rows = archive["features"]
    return rows.astype(np.float32)


def npy_path(folder: Path, video_id: str) -> Path:
    """Where the rows of a video are, beside the shards of its store."""
    return folder / f"{video_id}.npy"


class NpyReader(ClipReader):
    """Opens the files of a video once, for all of its clips, as the publication does."""

    def __init__(self, stores: Stores, load: Load) -> None:
        super().__init__(stores)
        self.load = load

    def read_all(
        self,
        video_id: str,
        start_seconds: Sequence[float],
        end_seconds: Sequence[float],
        words: Sequence[np.ndarray | None],
        *,
        audio_end_seconds: Sequence[float] | None = None,
    ) -> list[Clip]:
        video, audio = self._open("video", video_id), self._open("audio", video_id)
        clips = []
        for start, end, spoken in zip(start_seconds, end_seconds, words, strict=True):
            seen, heard = (
                self._cut("video", video, start, end),
                self._cut("audio", audio, start, end),
            )
            clips.append(
                Clip(
                    video_id,
                    start,
                    end,
                    seen.max(axis=0) if len(seen) else None,
                    heard.mean(axis=0) if len(heard) else None,
                    spoken,
                )
            )
        return clips

    def words_of_captions(
        self, video_id: str, ranges: Sequence[tuple[int, int]]
    ) -> list[np.ndarray | None]:
        ends = [0, *np.cumsum(self.stores["text"].spans(video_id)["num_rows"]).tolist()]
        rows = self._open("text", video_id)
        return [
            rows[ends[first] : ends[stop]].astype(np.float32, copy=False) for first, stop in ranges
        ]

    def _open(self, modality: Modality, video_id: str) -> NDArray[np.floating]:
        return self.load(npy_path(self.stores[modality].folder, video_id))

    def _cut(
        self, modality: Modality, rows: NDArray[np.floating], start: float, end: float
    ) -> NDArray[np.float32]:
        rate = self.stores[modality].rows_per_second
        assert rate is not None
        cut = rows[int(start * rate) : int(np.ceil(end * rate))]
        return cut.astype(np.float32, copy=False)
