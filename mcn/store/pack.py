"""From journal to HDF5: equal records give equal bytes, whatever order they arrived in."""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mcn.store.checksum import crc32c
from mcn.store.fingerprint import Fingerprint
from mcn.store.journal import Entry, Journal
from mcn.store.label import LABEL_BYTES, Label, Range, description_crc32c
from mcn.store.layout import (
    FORMAT_VERSION,
    canonical_json,
    index_dtype,
    starts,
)
from mcn.store.plan import ShardPlan
from mcn.store.rawio import write_at
from mcn.store.record import SPAN


def pack(journal: Journal, plan: ShardPlan, path: Path) -> None:
    """Writes the journal's records to an HDF5 file at `path`, on disk when this returns.

    One video is in memory at a time. Provenances are listed in the order in which the videos
    first refer to them.

    Raises:
        OSError: If it cannot be written, because the disk is full or for another reason.
    """
    entries = [journal.entries[video_id] for video_id in plan.video_ids]
    provenances = list(dict.fromkeys(canonical_json(entry.provenance) for entry in entries))
    index = _index(entries, provenances)
    spans = None
    if plan.fingerprint.rows_per_second is None:
        spans = np.concatenate([np.empty(0, SPAN), *map(journal.spans, entries)])
    # HDF5 may crash the process when the disk runs full. So it writes to memory, with a hole
    # where the features are to be, and the disk is written to by plain calls.
    with io.FileIO(os.memfd_create(path.name), "r+") as memory:
        provenance = f"[{','.join(provenances)}]"
        label = _describe(memory, plan.fingerprint, index, spans, provenance)
        try:
            with path.open("w+b") as file:
                _write(file.fileno(), memory.fileno(), label, map(journal.features, entries))
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}; packing takes as much room as the journal, which is kept: "
                "mend the cause and run again",
                str(path),
            ) from error


def _describe(
    memory: io.FileIO,
    fingerprint: Fingerprint,
    index: NDArray[Any],
    spans: NDArray[Any] | None,
    provenance: str,
) -> Label:
    """Writes all of an HDF5 file but the rows of its features; returns the label it is to have."""
    with h5py.File(memory, "w", userblock_size=LABEL_BYTES) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["fingerprint"] = fingerprint.to_json()
        file.attrs["fingerprint_digest"] = fingerprint.digest()
        file.attrs["provenance"] = provenance
        file.create_dataset("index", data=index, track_times=False)
        if spans is not None:
            file.create_dataset("spans", data=spans, track_times=False)
        reserved = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        reserved.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        reserved.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        shape = (int(index["num_rows"].sum()), fingerprint.dim)
        dtype = fingerprint.row_dtype
        file.create_dataset("features", shape, dtype, dcpl=reserved, track_times=False)
        ranges = file_ranges(file)
    return Label(
        fingerprint_digest=fingerprint.digest(),
        index=ranges["index"],
        spans=ranges["spans"],
        features=ranges["features"],
        id_bytes=index.dtype["video_id"].itemsize,
        reason_bytes=index.dtype["reason"].itemsize,
        spans_crc32c=0 if spans is None else crc32c(spans),
        description_crc32c=description_crc32c(memory.fileno(), ranges["spans"], ranges["features"]),
    )


def _write(file: int, memory: int, label: Label, features: Iterable[NDArray[Any]]) -> None:
    """Brings together label, rows and the rest that HDF5 wrote to memory; on disk then."""
    start, stop = label.features
    write_at(file, os.pread(memory, start, 0), 0)
    position = start
    for rows in features:
        position = write_at(file, rows, position)
    write_at(file, os.pread(memory, os.fstat(memory).st_size - stop, stop), stop)
    write_at(file, label.encode(), 0)
    os.fsync(file)
    # Whoever verifies the file now shall read it from the disk and not from memory.
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def file_ranges(file: h5py.File) -> dict[str, Range]:
    """Where the arrays lie in the file according to HDF5."""
    ranges = {}
    for name in ("index", "spans", "features"):
        num_bytes = file[name].nbytes if name in file else 0
        start = file[name].id.get_offset() if num_bytes else 0  # undefined where there is no data
        ranges[name] = start, start + num_bytes
    return ranges


def _index(entries: Sequence[Entry], provenances: Sequence[str]) -> NDArray[Any]:
    ids = [entry.video_id.encode() for entry in entries]
    reasons = [entry.reason.encode() for entry in entries]
    dtype = index_dtype(id_bytes=max(map(len, ids)), reason_bytes=max(map(len, reasons)))
    index = np.zeros(len(entries), dtype)
    index["video_id"] = ids
    index["reason"] = reasons
    index["status"] = [entry.status.encode() for entry in entries]
    index["completeness"] = [entry.completeness for entry in entries]
    index["num_errors"] = [entry.num_errors for entry in entries]
    index["crc32c"] = [entry.features_crc32c for entry in entries]
    index["num_rows"] = [entry.num_rows for entry in entries]
    index["first_row"] = starts(index["num_rows"])
    index["num_spans"] = [entry.num_spans or 0 for entry in entries]
    index["first_span"] = starts(index["num_spans"])
    position = {provenance: place for place, provenance in enumerate(provenances)}
    index["provenance"] = [position[canonical_json(entry.provenance)] for entry in entries]
    return index
