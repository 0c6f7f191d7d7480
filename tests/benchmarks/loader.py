"""Clips per second of the training loader, beside one file a video and modality.

All peers draw the same clips and collate them with our code. They open the files of a video once
for all of its clips, pool clip by clip with NumPy, and look up the vectors of words in memory, as
the publication does; one has our pooling and our words, and differs in nothing but the files. Every
process has one thread.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.utils.data import DataLoader

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import Source, open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.objectives import Stage
from mcn.store.reader import FeatureStore
from mcn.training.config import TrainConfig
from tests.benchmarks.feature_files import Rows
from tests.benchmarks.npy_reader import (
    NpyBatches,
    NpyReader,
    load_widened,
    load_zipped,
    map_to_memory,
    npy_path,
)
from tests.benchmarks.page_cache import drop_from_cache
from tests.benchmarks.result import Result, rates
from tests.benchmarks.timing import take_turns
from tests.benchmarks.training_corpus import (
    FEATURES,
    VIDEO_SECONDS,
    sampling,
    write_training_stores,
)

WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class Size:
    """Videos of the one batch that is read again and again."""

    num_videos: int
    rounds: int
    batches: int
    """Batches that worker processes read in a round, their start included."""


FULL = Size(num_videos=TrainConfig(stage=Stage.AVT).batch_size, rounds=3, batches=6)
QUICK = Size(num_videos=4, rounds=2, batches=2)


class NpyStore(FeatureStore):
    """The index of the store, with the rows of each video in a file that is kept till the next."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.video_id = ""
        self.rows: Rows = np.empty(0, np.float16)

    def read(
        self, video_id: str, first_row: int = 0, stop_row: int | None = None, **how: object
    ) -> Rows:
        if video_id != self.video_id:
            self.video_id, self.rows = video_id, np.load(npy_path(self.folder, video_id))
        return self.rows[first_row:stop_row]


def measure(*, quick: bool) -> list[Result]:
    """Clips per second of one process, with files in the page cache and without, and of two."""
    size = QUICK if quick else FULL
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_training_stores(folder, num_videos=size.num_videos)
        loaders = _loaders(folder, TrainConfig(stage=Stage.AVT, batch_size=size.num_videos))
        num_clips = _check_all_read_the_same(list(loaders.values()))
        files = [path for path in folder.rglob("*") if path.is_file()]
        alone = {peer: partial(loader.__getitem__, 0) for peer, loader in loaders.items()}
        many = {
            peer: partial(_exhaust, _by_workers(loader, size.batches))
            for peer, loader in loaders.items()
        }
        drop = partial(drop_from_cache, files)
        return [
            _compare(alone, "1 process, warm page cache", 1, num_clips, size),
            _compare(many, f"{WORKERS} processes, warm page cache", size.batches, num_clips, size),
            _compare(alone, "1 process, cold page cache", 1, num_clips, size, before_each=drop),
        ]


def _compare(
    runs: Mapping[str, Callable[[], object]],
    how: str,
    batches: int,
    num_clips: int,
    size: Size,
    *,
    before_each: Callable[[], object] | None = None,
) -> Result:
    timings = take_turns(runs, rounds=size.rounds, before_each=before_each)
    measured = (
        f"{batches} x a batch of {num_clips:,} clips from {size.num_videos} videos of "
        f"{VIDEO_SECONDS} s, three modalities; {size.rounds} rounds, {how}"
    )
    rows = rates(timings, amount=batches * num_clips, unit="clips/s")
    return Result(title=f"loader, {how}", measured=measured, rows=rows)


def _by_workers(loader: TrainingBatches, batches: int) -> DataLoader:  # type: ignore[type-arg]
    return DataLoader(
        loader,
        sampler=[0] * batches,
        batch_size=None,
        num_workers=WORKERS,
        multiprocessing_context="fork",  # this process was spawned, and would spawn them as well
    )


def _exhaust(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


def _loaders(folder: Path, config: TrainConfig) -> dict[str, TrainingBatches]:
    """Loaders of the same batches by where the rows are, ours first."""
    stores = open_stores(folder, FEATURES)
    for store in (stores["video"], stores["audio"]):
        for video_id in store.video_ids:
            rows, path = store.read(video_id), npy_path(store.folder, video_id)
            np.save(path, rows)
            np.savez(path.with_suffix(".npz"), features=rows)
    npy: dict[Source, FeatureStore] = {
        "video": NpyStore(stores["video"].folder),
        "audio": NpyStore(stores["audio"].folder),
        "text": stores["text"],
    }
    draws = sampling(config)
    return {
        "TrainingBatches": TrainingBatches(ClipReader(stores), draws),
        ".npy, our pooling": TrainingBatches(ClipReader(npy), draws),
        ".npy, NumPy clip by clip": NpyBatches(NpyReader(stores, load_widened), draws),
        ".npy as memory map, NumPy": NpyBatches(NpyReader(stores, map_to_memory), draws),
        ".npz as MCN opens it, NumPy": NpyBatches(NpyReader(stores, load_zipped), draws),
    }


def _check_all_read_the_same(loaders: list[TrainingBatches]) -> int:
    """Number of clips in the first batch of them all."""
    ours, *others = (loader[0] for loader in loaders)
    for other in others:
        assert ours.video.equal(other.video) and ours.words.equal(other.words)
        torch.testing.assert_close(ours.audio, other.audio)
    return len(ours)
