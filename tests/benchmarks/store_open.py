"""Opening a store of 900 shards, as every process of a training run does, beside h5py.

h5py does what a reader of plain HDF5 has to: open each file and read its index. The shards have the
videos of the corpus and few rows, since rows are not read. One is written, and the others are made
of it with other names of videos.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

from mcn.store.checksum import crc32c
from mcn.store.label import LABEL_BYTES, read_label
from mcn.store.reader import FeatureStore
from tests.benchmarks.feature_files import random_rows, write_store
from tests.benchmarks.page_cache import drop_from_cache
from tests.benchmarks.result import Result, durations
from tests.benchmarks.timing import take_turns


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is opened."""

    num_shards: int
    videos_per_shard: int
    rounds: int


# HowTo100M has 898,096 videos, which are not all in one shard more than in another.
FULL = Size(num_shards=900, videos_per_shard=998, rounds=5)
QUICK = Size(num_shards=9, videos_per_shard=20, rounds=2)


def measure(*, quick: bool) -> list[Result]:
    """Seconds from nothing to a store that can be read, with and without files in the cache."""
    size = QUICK if quick else FULL
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = _write_shards(folder, size)
        assert len(FeatureStore(folder)) == size.num_shards * size.videos_per_shard
        contenders: dict[str, Callable[[], object]] = {
            "FeatureStore": partial(FeatureStore, folder),
            "h5py, index of each file": partial(_open_by_h5py, paths),
        }
        results = []
        for cache, before_each in (("warm", None), ("cold", partial(drop_from_cache, paths))):
            timings = take_turns(contenders, rounds=size.rounds, before_each=before_each)
            measured = (
                f"{size.num_shards} shards of {size.videos_per_shard} videos, checksums of "
                f"index and description included in ours; {size.rounds} rounds, {cache} page cache"
            )
            rows = durations(timings, notes={"FeatureStore": "wanted: under 1 s"})
            title = f"open {size.num_shards} shards, {cache}"
            results.append(Result(title=title, measured=measured, rows=rows))
    return results


def _open_by_h5py(paths: list[Path]) -> dict[str, tuple[int, int]]:
    """Shard and first row of every video."""
    places: dict[str, tuple[int, int]] = {}
    for number, path in enumerate(paths):
        with h5py.File(path, "r", locking=False) as file:
            index = file["index"][:]
        first_rows = index["first_row"].tolist()
        for video_id, first_row in zip(index["video_id"].tolist(), first_rows, strict=True):
            places[video_id.decode()] = number, first_row
    return places


def _write_shards(folder: Path, size: Size) -> list[Path]:
    ids = [f"00000-{number:05d}" for number in range(size.videos_per_shard)]
    first = write_store(folder, ids, lambda _: random_rows(0, 1, 8), rows_per_second=1.0)
    with first.open("rb") as file:
        label, whole = read_label(file.fileno()), file.read()
    start, stop = label.index
    paths = [first]
    for number in range(1, size.num_shards):
        index = whole[start:stop].replace(b"00000-", b"%05d-" % number)
        renamed = whole[:start] + index + whole[stop:]
        rest = np.frombuffer(renamed, np.uint8)
        described = crc32c(
            rest[label.features[1] :], start=crc32c(rest[LABEL_BYTES : label.features[0]])
        )
        relabelled = replace(label, description_crc32c=described)
        paths.append(folder / f"{number:05d}.h5")
        paths[-1].write_bytes(relabelled.encode() + renamed[LABEL_BYTES:])
    return paths
