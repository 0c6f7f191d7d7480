"""Clips from one file a video and modality, pooled as one would write it down: clip by clip."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from mcn.data.batches import ClipBatch, ClipRows
from mcn.data.clip_reader import ClipReader
from mcn.data.media_reader import Seconds
from mcn.data.stores import Source, Stores
from mcn.data.training_batches import Sampling, TrainingBatches
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

    def _pooled(
        self, source: Source, video_id: str, start_seconds: Seconds, end_seconds: Seconds
    ) -> ClipRows:
        rows = self.load(npy_path(self.stores[source].folder, video_id))
        rate = self.stores[source].rows_per_second
        assert rate is not None
        pooled = []
        for start, end in zip(start_seconds, end_seconds, strict=True):
            cut = rows[int(start * rate) : int(np.ceil(end * rate))].astype(np.float32, copy=False)
            pooled.append(cut.max(axis=0) if source == "video" else cut.mean(axis=0))
        return ClipRows(np.stack(pooled), np.ones(len(pooled), bool))


class NpyBatches(TrainingBatches):
    """Batches that have the vectors of their words too: the publication looks them up here."""

    def __init__(self, reader: NpyReader, sampling: Sampling) -> None:
        super().__init__(reader, sampling)
        self.vectors = reader.words.vectors().astype(np.float32)

    def __getitem__(self, step: int) -> ClipBatch:
        batch = super().__getitem__(step)
        self.looked_up = self._look_up(batch)
        return batch

    def _look_up(self, batch: ClipBatch) -> Float[Tensor, "clips words dim"]:
        """Clip by clip, filled up with zeros."""
        clips = []
        for numbers, is_word in zip(batch.words.numpy(), batch.is_word.numpy(), strict=True):
            words = np.zeros((len(numbers), self.vectors.shape[1]), np.float32)
            spoken = self.vectors[numbers[is_word]]
            words[: len(spoken)] = spoken
            clips.append(torch.from_numpy(words))
        return torch.stack(clips)
