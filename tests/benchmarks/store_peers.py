"""The rows of a store as zarr, MosaicML streaming and WebDataset have them, and their readers."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from tests.benchmarks.feature_files import Rows
from tests.benchmarks.peers import Peers

ROWS_PER_CLIP = 12
ZARR_CHUNK_ROWS = 64

Read = Callable[[str, int], Rows]
"""The rows of a clip, by video and first row."""

Pass = Callable[[Sequence[tuple[str, int]]], object]
"""Reads so many clips, of which it may choose the videos."""


def from_zarr(
    peers: Peers, folder: Path, num_rows: dict[str, int], rows_of: Callable[[str], Rows]
) -> Read | None:
    """One array of all videos, in chunks of some clips, uncompressed."""
    zarr = peers.module("zarr")
    if zarr is None:
        return None
    starts = dict(zip(num_rows, np.cumsum([0, *num_rows.values()]).tolist(), strict=False))
    dim = rows_of(next(iter(num_rows))).shape[1]
    array = zarr.create_array(
        store=str(folder / "zarr"),
        shape=(sum(num_rows.values()), dim),
        chunks=(ZARR_CHUNK_ROWS, dim),
        dtype="f2",
        compressors=None,
    )
    for video_id, start in starts.items():
        array[start : start + num_rows[video_id]] = rows_of(video_id)

    def read(video_id: str, first: int) -> Rows:
        row = starts[video_id] + first
        rows: Rows = array[row : row + ROWS_PER_CLIP]
        return rows

    return read


def from_streaming(
    peers: Peers, folder: Path, num_rows: dict[str, int], rows_of: Callable[[str], Rows]
) -> Read | None:
    """A sample a video, which is read whole."""
    streaming = peers.module("streaming")
    if streaming is None:
        return None
    columns = {"video_id": "str", "rows": "ndarray:float16"}
    with streaming.MDSWriter(out=str(folder / "mds"), columns=columns) as writer:
        for video_id in num_rows:
            writer.write({"video_id": video_id, "rows": rows_of(video_id)})
    samples = streaming.LocalDataset(str(folder / "mds"))
    positions = {video_id: position for position, video_id in enumerate(num_rows)}

    def read(video_id: str, first: int) -> Rows:
        rows: Rows = samples[positions[video_id]]["rows"]
        return rows[first : first + ROWS_PER_CLIP].copy()

    return read


def from_webdataset(
    peers: Peers, folder: Path, num_rows: dict[str, int], rows_of: Callable[[str], Rows]
) -> Pass | None:
    """A tar with a file a video, gone through from its beginning: it cannot be read at random.

    Takes one clip of each video, and begins again until there are enough.
    """
    webdataset = peers.module("webdataset")
    if webdataset is None:
        return None
    path = folder / "videos.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for video_id in num_rows:
            writer.write({"__key__": video_id, "npy": rows_of(video_id)})

    def read_in_order(clips: Sequence[tuple[str, int]]) -> None:
        dataset = webdataset.WebDataset(str(path), shardshuffle=False).decode().repeat()
        for sample, (_, first) in zip(islice(dataset, len(clips)), clips, strict=True):
            rows = sample["npy"]
            begin = min(first, len(rows) - ROWS_PER_CLIP)
            assert rows[begin : begin + ROWS_PER_CLIP].copy().shape[0] == ROWS_PER_CLIP

    return read_in_order
