"""The records of a sealed shard, each checked on its way out: what copies begin with."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcn.store.checksum import crc32c
from mcn.store.fingerprint import Fingerprint
from mcn.store.label import Label
from mcn.store.rawio import read_at
from mcn.store.record import SPAN, Record, check_record
from mcn.store.shard import SealedShard


class StoredRecord(NamedTuple):
    """A record of a sealed shard, and what made it."""

    record: Record
    provenance: dict[str, str | int | float]


@dataclass(frozen=True)
class Description:
    """All of a shard but its spans and features."""

    path: Path
    label: Label
    index: NDArray[Any]
    fingerprint: Fingerprint
    provenances: list[dict[str, str | int | float]]

    @classmethod
    def of(cls, shard: SealedShard) -> "Description":
        """What a shard says of itself."""
        return cls(shard.path, shard.label, shard.index, shard.fingerprint(), shard.provenances())

    @property
    def video_ids(self) -> list[str]:
        return [video_id.decode() for video_id in self.index["video_id"].tolist()]


def sound_records(shard: Description) -> Iterator[StoredRecord | None]:
    """For each entry of the index its record; None where its bytes are not those written."""
    with shard.path.open("rb") as file:
        spans = _sound_spans(file.fileno(), shard)
        for entry in shard.index:
            record = _record(file.fileno(), shard, entry, spans)
            if record is None:
                yield None
            else:
                yield StoredRecord(record, shard.provenances[entry["provenance"]])


def all_records(shard: Description) -> Iterator[StoredRecord]:
    """For each entry of the index its record.

    Raises:
        ValueError: If one is not as it was written.
    """
    for video_id, stored in zip(shard.video_ids, sound_records(shard), strict=True):
        if stored is None:
            raise ValueError(
                f"{shard.path}: video {video_id!r} is not as it was written; "
                "`python jobs/store.py repair` rescues the others"
            )
        yield stored


def _record(
    descriptor: int, shard: Description, entry: Any, spans: NDArray[Any] | None
) -> Record | None:
    dim, dtype = shard.fingerprint.dim, shard.fingerprint.row_dtype
    features = np.empty((int(entry["num_rows"]), dim), dtype)
    first_byte = shard.label.features[0] + int(entry["first_row"]) * dim * dtype.itemsize
    try:
        if features.size:
            read_at(descriptor, features, first_byte)
    except (OSError, EOFError):
        return None
    is_failed = entry["status"] == b"failed"
    own_spans = None
    if shard.fingerprint.rows_per_second is None and not is_failed:
        if spans is None:
            return None
        own_spans = spans[entry["first_span"] : entry["first_span"] + entry["num_spans"]]
    record = Record(
        entry["video_id"].decode(),
        "failed" if is_failed else "done",
        entry["reason"].decode(),
        float(entry["completeness"]),
        features,
        own_spans,
        int(entry["num_errors"]),
    )
    try:
        check_record(record, shard.fingerprint)
    except ValueError:
        return None
    return record if crc32c(features) == entry["crc32c"] else None


def _sound_spans(descriptor: int, shard: Description) -> NDArray[Any] | None:
    """All spans of a shard, which share one checksum; None where it does not hold."""
    start, stop = shard.label.spans
    spans = np.empty((stop - start) // SPAN.itemsize, SPAN)
    try:
        if spans.size:
            read_at(descriptor, spans, start)
    except (OSError, EOFError):
        return None
    return spans if shard.label.spans_crc32c == crc32c(spans) else None
