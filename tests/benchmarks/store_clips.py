"""Random clips per second from the store, beside other layouts of the same rows.

The accesses are those of training: 12 consecutive rows of 4 KiB out of a few hundred. Bare `pread`,
with a dictionary of offsets and nothing else, is the floor. WebDataset reads in order only and
takes one clip of each video that it passes; MosaicML streaming reads a video whole.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import h5py
import numpy as np

from mcn.store.reader import FeatureStore
from tests.benchmarks.feature_files import Rows, random_rows, write_store
from tests.benchmarks.page_cache import drop_from_cache
from tests.benchmarks.peers import Peers
from tests.benchmarks.result import Result, rates
from tests.benchmarks.store_peers import (
    ROWS_PER_CLIP,
    Pass,
    Read,
    from_streaming,
    from_webdataset,
    from_zarr,
)
from tests.benchmarks.timing import take_turns

DIM = 2048
ROW_BYTES = 2 * DIM


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is written and read."""

    num_videos: int
    num_clips: int
    rounds: int
    floor_rounds: int
    num_cold_clips: int
    """Fewer, since some peers read a whole video for each, from the disk."""
    cold_rounds: int


FULL = Size(
    num_videos=640, num_clips=3000, rounds=5, floor_rounds=40, num_cold_clips=300, cold_rounds=3
)
QUICK = Size(
    num_videos=40, num_clips=300, rounds=2, floor_rounds=2, num_cold_clips=50, cold_rounds=1
)


def measure(*, quick: bool) -> list[Result]:
    """Clips per second with the files in the page cache, and with an empty one."""
    size = QUICK if quick else FULL
    rng = np.random.default_rng(0)
    num_rows = {f"video{n:05d}": int(rng.integers(300, 500)) for n in range(size.num_videos)}
    total_bytes = sum(num_rows.values()) * ROW_BYTES
    peers = Peers()
    with TemporaryDirectory() as folder, ExitStack() as opened:
        readers, in_order = _write_layouts(Path(folder), num_rows, opened, peers)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        clips = [
            (video_id, int(rng.integers(num_rows[video_id] - ROWS_PER_CLIP)))
            for video_id in rng.choice(list(num_rows), size.num_clips).tolist()
        ]
        _check_all_read_the_same(list(readers.values()), clips[:50])
        drop = partial(drop_from_cache, files)
        passes: dict[str, Pass] = {name: partial(_read_all, read) for name, read in readers.items()}
        if in_order:
            passes["WebDataset, in order"] = in_order
        everybody = list(passes)
        # Both take milliseconds, so that noise falls out only of many rounds.
        floor = ["FeatureStore", "bare pread"]
        others = [name for name in everybody if name != "bare pread"]
        results = []
        for title, cache, names, num_clips, rounds, before_each in (
            ("store beside bare pread", "warm", floor, size.num_clips, size.floor_rounds, None),
            ("store, warm", "warm", others, size.num_clips, size.rounds, None),
            ("store, cold", "cold", everybody, size.num_cold_clips, size.cold_rounds, drop),
        ):
            runs = {name: partial(passes[name], clips[:num_clips]) for name in names}
            timings = take_turns(runs, rounds=rounds, before_each=before_each)
            measured = (
                f"{num_clips:,} clips of {ROWS_PER_CLIP} rows x {DIM} fp16 from "
                f"{size.num_videos} videos, {total_bytes / 1e9:.2f} GB a layout; "
                f"{rounds} rounds, 1 thread, {cache} page cache"
            )
            rows = rates(timings, amount=num_clips, unit="clips/s")
            result = Result(title=title, measured=measured, rows=rows, left_out=peers.left_out)
            results.append(result)
    return results


def _read_all(read: Read, clips: Sequence[tuple[str, int]]) -> None:
    for video_id, first_row in clips:
        read(video_id, first_row)


def _check_all_read_the_same(readers: Sequence[Read], clips: Sequence[tuple[str, int]]) -> None:
    for clip in clips:
        ours, *others = (read(*clip) for read in readers)
        assert all(np.array_equal(ours, other) for other in others)


def _write_layouts(
    folder: Path, num_rows: dict[str, int], opened: ExitStack, peers: Peers
) -> tuple[dict[str, Read], Pass | None]:
    """Writes the rows in every layout; gives ways to read at random, ours first, and in order."""
    ids = list(num_rows)
    numbers = {video_id: number for number, video_id in enumerate(ids)}
    starts = dict(zip(ids, np.cumsum([0, *num_rows.values()]).tolist(), strict=False))

    def rows_of(video_id: str) -> Rows:
        return random_rows(numbers[video_id], num_rows[video_id], DIM)

    shard = write_store(folder / "store", ids, rows_of, rows_per_second=1.0)
    npy = folder / "npy"
    npy.mkdir()
    with h5py.File(folder / "datasets.h5", "w") as file:
        for video_id in ids:
            file[video_id] = rows_of(video_id)
            np.save(npy / f"{video_id}.npy", rows_of(video_id))
    packed = opened.enter_context(h5py.File(shard, "r", locking=False))
    datasets = opened.enter_context(h5py.File(folder / "datasets.h5", "r", locking=False))
    readers = {
        "FeatureStore": _from_store(FeatureStore(folder / "store")),
        "bare pread": _by_pread(shard, packed["features"].id.get_offset(), starts, opened),
        "h5py, the same file": _from_one_dataset(packed["features"], starts),
        "h5py, a dataset a video": _from_datasets(datasets),
        ".npy a video, memory map": _from_npy(npy, mmap_mode="r"),
        ".npy a video, whole file": _from_npy(npy, mmap_mode=None),
        "zarr": from_zarr(peers, folder, num_rows, rows_of),
        "MosaicML streaming": from_streaming(peers, folder, num_rows, rows_of),
    }
    in_order = from_webdataset(peers, folder, num_rows, rows_of)
    return {name: read for name, read in readers.items() if read is not None}, in_order


def _from_store(store: FeatureStore) -> Read:
    return lambda video_id, first: store.read(video_id, first, first + ROWS_PER_CLIP)


def _by_pread(shard: Path, offset: int, starts: dict[str, int], opened: ExitStack) -> Read:
    descriptor = os.open(shard, os.O_RDONLY)
    opened.callback(os.close, descriptor)

    def read(video_id: str, first: int) -> Rows:
        at = offset + (starts[video_id] + first) * ROW_BYTES
        data = os.pread(descriptor, ROWS_PER_CLIP * ROW_BYTES, at)
        return np.frombuffer(data, np.float16).reshape(ROWS_PER_CLIP, DIM)

    return read


def _from_one_dataset(features: h5py.Dataset, starts: dict[str, int]) -> Read:
    def read(video_id: str, first: int) -> Rows:
        row = starts[video_id] + first
        rows: Rows = features[row : row + ROWS_PER_CLIP]
        return rows

    return read


def _from_datasets(file: h5py.File) -> Read:
    def read(video_id: str, first: int) -> Rows:
        rows: Rows = file[video_id][first : first + ROWS_PER_CLIP]
        return rows

    return read


def _from_npy(folder: Path, *, mmap_mode: Literal["r"] | None) -> Read:
    def read(video_id: str, first: int) -> Rows:
        rows = np.load(folder / f"{video_id}.npy", mmap_mode=mmap_mode)
        return np.array(rows[first : first + ROWS_PER_CLIP])

    return read
