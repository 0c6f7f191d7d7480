"""Stores of made-up features in the sizes of the real ones; what the numbers are does not matter.

Rows are decided by the number of their video, so that the same rows can be written in several
layouts without being held in memory.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcn.store.fingerprint import Fingerprint
from mcn.store.layout import RowType
from mcn.store.record import SPAN, Record
from mcn.store.writer import ShardWriter

Rows = NDArray[np.float16]
Spans = NDArray[np.void]


def random_rows(number: int, num_rows: int, dim: int) -> Rows:
    """Rows of video `number`, evenly spread over [1, 2)."""
    bits = np.random.default_rng(number).integers(0x3C00, 0x4000, (num_rows, dim), np.uint16)
    return bits.view(np.float16)


def caption_spans(num_captions: int, *, seconds_per_caption: float, words: int) -> Spans:
    """Captions one after the other, each with so many words."""
    spans = np.zeros(num_captions, SPAN)
    spans["start_seconds"] = seconds_per_caption * np.arange(num_captions)
    spans["end_seconds"] = spans["start_seconds"] + seconds_per_caption
    spans["num_rows"] = words
    return spans


def write_store(
    folder: Path,
    video_ids: Sequence[str],
    rows_of: Callable[[str], NDArray[Any]],
    *,
    rows_per_second: float | None,
    spans: Spans | None = None,
) -> Path:
    """One sealed shard with the rows of all videos; text has the same spans for every video."""
    dim = rows_of(video_ids[0]).shape[1]
    row_type: RowType = "int32" if rows_per_second is None else "float16"
    fingerprint = Fingerprint("made-up", "0" * 64, dim, rows_per_second, {"version": 1}, row_type)
    with ShardWriter(
        folder / "00000.h5", video_ids=video_ids, fingerprint=fingerprint, provenance={}
    ) as writer:
        for video_id in video_ids:
            writer.append(Record(video_id, "done", "", 1.0, rows_of(video_id), spans))
        return writer.seal()
