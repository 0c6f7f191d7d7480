"""Is a shard what was written? Reads every byte of it that means something."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mcn.store.checksum import crc32c
from mcn.store.index import stored_dtype
from mcn.store.layout import NOT_COUNTED, starts
from mcn.store.pack import file_ranges
from mcn.store.rawio import read_at
from mcn.store.record import SPAN, STATUSES, all_finite
from mcn.store.shard import UNREADABLE, SealedShard, read_shard

_PIECE_BYTES = 4 << 20


def verify_shard(path: Path) -> list[str]:
    """What is wrong with a shard, a sentence each; nothing if it is sound.

    Does not raise, whatever is in the file.
    """
    problems: list[str] = []
    try:
        shard = read_shard(path)
        for problem in _problems_of_description(shard):
            problems.append(problem)
        if not problems:  # only a sound index can be trusted to say where rows are
            for problem in _problems_of_features(shard):
                problems.append(problem)
    except UNREADABLE as error:
        problems.append(f"cannot be read as a shard: {type(error).__name__}: {error}")
    return problems


def _problems_of_description(shard: SealedShard) -> Iterator[str]:
    fingerprint, label = shard.fingerprint(), shard.label
    with h5py.File(shard.path, "r", locking=False) as file:
        features, spans = file["features"], file["spans"][()] if "spans" in file else None
        ranges, digest = file_ranges(file), file.attrs["fingerprint_digest"]
        if features.dtype != fingerprint.row_dtype or features.chunks:
            yield f"features are {features.dtype}, or not contiguous"
        if features.shape != (int(shard.index["num_rows"].sum()), fingerprint.dim):
            yield (
                f"features have shape {features.shape}, the index holds "
                f"{shard.index['num_rows'].sum()} rows of {fingerprint.dim}"
            )
        dtype = stored_dtype(label)
        if file["index"].dtype != dtype or file["index"].shape != shard.index.shape:
            yield f"the index has fields {file['index'].dtype}, not {dtype}"
    if not fingerprint.digest() == digest == label.fingerprint_digest:
        yield "the fingerprint does not match its digest"
    if ranges != {"index": label.index, "spans": label.spans, "features": label.features}:
        yield f"HDF5 has arrays at {ranges}, the label says otherwise"
    if label.spans_crc32c != (0 if spans is None else crc32c(spans)):
        yield "spans do not match their checksum"
    if (spans is None) != (fingerprint.rows_per_second is not None):
        yield f"spans and rows_per_second {fingerprint.rows_per_second} do not go together"
    yield from _problems_of_index(shard)
    if spans is not None:
        yield from _problems_of_spans(shard.index, spans)


def _problems_of_index(shard: SealedShard) -> Iterator[str]:
    index = shard.index
    shard.plan()  # raises ValueError where an id is there twice
    num_rows, failed = index["num_rows"], index["status"] == b"failed"
    if (num_rows < 0).any() or (index["first_row"] != starts(num_rows)).any():
        yield "the rows of the index are not one behind the other"
    if not np.isin(index["status"], [status.encode() for status in STATUSES]).all():
        yield f"the index holds a status that is none of {STATUSES}"
    if (num_rows[failed] > 0).any() or (index["reason"][failed] == b"").any():
        yield "the index holds a failure with rows or without a reason"
    if not (index["completeness"] >= 0).all():
        yield "the index holds a completeness that is not a share"
    if (index["num_errors"] < NOT_COUNTED).any():
        yield "the index holds a number of errors below zero"
    if (index["provenance"] >= len(shard.provenances())).any():
        yield "the index refers to a provenance that is not there"


def _problems_of_spans(index: NDArray[Any], spans: NDArray[Any]) -> Iterator[str]:
    if spans.dtype != SPAN or spans.ndim != 1:
        yield f"spans have shape {spans.shape} and fields {spans.dtype}"
        return
    ends = index["first_span"] + index["num_spans"]
    if (index["first_span"] != starts(index["num_spans"])).any() or ends[-1] != len(spans):
        yield "the spans of the index are not one behind the other"
        return
    rows_before = np.concatenate([[0], np.cumsum(spans["num_rows"], dtype=np.int64)])
    if (rows_before[ends] - rows_before[index["first_span"]] != index["num_rows"]).any():
        yield "spans hold another number of rows than their video"


def _problems_of_features(shard: SealedShard) -> Iterator[str]:
    fingerprint = shard.fingerprint()
    dtype, dim = fingerprint.row_dtype, fingerprint.dim
    row_bytes = dim * dtype.itemsize
    buffer = np.empty((max(1, _PIECE_BYTES // row_bytes), dim), dtype)
    with shard.path.open("rb") as file:
        for entry in shard.index:
            checksum, is_finite = 0, True
            stop_row = int(entry["first_row"] + entry["num_rows"])
            for row in range(int(entry["first_row"]), stop_row, len(buffer)):
                piece = buffer[: min(len(buffer), stop_row - row)]
                read_at(file.fileno(), piece, shard.label.features[0] + row * row_bytes)
                checksum = crc32c(piece, start=checksum)
                is_finite &= all_finite(piece)
            if checksum != entry["crc32c"]:
                yield f"video {entry['video_id'].decode()!r}: features do not match their checksum"
            if not is_finite:
                yield f"video {entry['video_id'].decode()!r}: features hold NaN or infinity"
