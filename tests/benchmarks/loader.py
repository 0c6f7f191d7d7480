"""Clips per second of the training loader, beside one `.npy` a video and modality.

The peers differ in where rows come from, and in nothing else: the same clips, pooled and collated
by the same code, with captions from our store. The publication opens the files of a video once,
for all of its clips; a loader whose items are single clips opens them for each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.modality import Modality
from mcn.objectives import Stage
from mcn.store.reader import FeatureStore
from mcn.training.config import TrainConfig
from tests.benchmarks.feature_files import Rows
from tests.benchmarks.page_cache import drop_from_cache
from tests.benchmarks.result import Result, rates
from tests.benchmarks.timing import take_turns
from tests.benchmarks.training_corpus import (
    FEATURES,
    VIDEO_SECONDS,
    sampling,
    write_training_stores,
)

Load = Callable[[Path], Rows]
"""The rows of a file, or a view of them."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Videos of the one batch that is read again and again."""

    num_videos: int
    rounds: int


FULL = Size(num_videos=TrainConfig(stage=Stage.AVT).batch_size, rounds=3)
QUICK = Size(num_videos=4, rounds=2)


class NpyStore(FeatureStore):
    """The index of the store, with the rows of each video in a file of their own."""

    def __init__(self, folder: Path, load: Load) -> None:
        super().__init__(folder)
        self.load = load

    def read(self, video_id: str, first_row: int = 0, stop_row: int | None = None) -> Rows:
        return self.load(_npy(self.folder, video_id))[first_row:stop_row]


class KeepLast:
    """Loads a file whole, and keeps it until another one is asked for."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.rows: Rows = np.empty(0, np.float16)

    def __call__(self, path: Path) -> Rows:
        if path != self.path:
            self.path, self.rows = path, np.load(path)
        return self.rows


def measure(*, quick: bool) -> list[Result]:
    """Clips per second with the files in the page cache, and with an empty one."""
    size = QUICK if quick else FULL
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_training_stores(folder, num_videos=size.num_videos)
        loaders = _loaders(folder, TrainConfig(stage=Stage.AVT, batch_size=size.num_videos))
        num_clips = _check_all_read_the_same(list(loaders.values()))
        runs = {peer: partial(loader.__getitem__, 0) for peer, loader in loaders.items()}
        files = [path for path in folder.rglob("*") if path.is_file()]
        results = []
        for cache, before_each in (("warm", None), ("cold", partial(drop_from_cache, files))):
            timings = take_turns(runs, rounds=size.rounds, before_each=before_each)
            measured = (
                f"a batch of {num_clips:,} clips from {size.num_videos} videos of {VIDEO_SECONDS} "
                f"s, three modalities; {size.rounds} rounds, 1 process, {cache} page cache"
            )
            rows = rates(timings, amount=num_clips, unit="clips/s")
            results.append(Result(title=f"loader, {cache}", measured=measured, rows=rows))
    return results


def _loaders(folder: Path, config: TrainConfig) -> dict[str, TrainingBatches]:
    """Loaders of the same batches by where the rows are, ours first."""
    stores = open_stores(folder, FEATURES)
    audio, video = stores["audio"], stores["video"]
    for store in (audio, video):
        for video_id in store.video_ids:
            np.save(_npy(store.folder, video_id), store.read(video_id))
    loads: dict[str, tuple[Load, Load]] = {
        ".npy, whole file once a video": (KeepLast(), KeepLast()),
        ".npy, whole file for each clip": (np.load, np.load),
        ".npy, memory map for each clip": (partial(np.load, mmap_mode="r"),) * 2,
    }
    readers = {"TrainingBatches": ClipReader(stores)}
    for peer, (load_audio, load_video) in loads.items():
        from_npy: dict[Modality, FeatureStore] = {
            "audio": NpyStore(audio.folder, load_audio),
            "video": NpyStore(video.folder, load_video),
            "text": stores["text"],
        }
        readers[peer] = ClipReader(from_npy)
    return {name: TrainingBatches(reader, sampling(config)) for name, reader in readers.items()}


def _npy(folder: Path, video_id: str) -> Path:
    return folder / f"{video_id}.npy"


def _check_all_read_the_same(loaders: list[TrainingBatches]) -> int:
    """Number of clips in the first batch of them all."""
    ours, *others = (loader[0] for loader in loaders)
    for other in others:
        assert ours.video.equal(other.video) and ours.audio.equal(other.audio)
    return len(ours)
