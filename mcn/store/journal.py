"""A shard under construction: records appended to a file that a crash cannot spoil.

The journal is a header frame (format version, fingerprint, the planned videos) and one frame for
each record, on disk before `append` returns; of several records of a video the last one counts. To
open it again is to carry on: every frame is read and checked, and what follows the last whole one,
the trace of a crash or of a bad disk, is cut off and its videos are to be done again. Provenance
lies with each record and not in the header, because a shard may be carried on by a node of another
kind.
"""

import io
import json
import os
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcn.store.checksum import crc32c
from mcn.store.fingerprint import Fingerprint
from mcn.store.frames import Frame, encode_frame, find_frame, is_intact
from mcn.store.layout import FORMAT_VERSION, NOT_COUNTED, READABLE_VERSIONS
from mcn.store.plan import ShardPlan
from mcn.store.rawio import fsync_folder, read_at, write_at
from mcn.store.record import SPAN, Record

HEADER_MARKER = b"MCNJ"
RECORD_MARKER = b"MCNR"


class Entry(NamedTuple):
    """What the journal says of a record, and where its data lies."""

    video_id: str
    status: str
    reason: str
    completeness: float
    num_rows: int
    num_spans: int | None
    features_crc32c: int
    provenance: dict[str, str | int | float]
    data_offset: int
    """Where the spans are, with the features behind them."""
    num_errors: int = NOT_COUNTED


class Journal:
    """A journal, from opening to closing, by the one who writes it (lease.py sees to that)."""

    def __init__(self, path: Path, plan: ShardPlan) -> None:
        """Carries on with the journal at `path`, or begins it.

        Raises:
            ValueError: If it was begun for other videos or with another fingerprint.
        """
        self.path = path
        self.entries: dict[str, Entry] = {}
        self.attempts: Counter[str] = Counter()
        """Number of records of each video: a failed one may be followed by another."""
        self.dropped_bytes = 0
        """What was cut off behind the last whole record."""
        self._dim = plan.fingerprint.dim
        self._row_dtype = plan.fingerprint.row_dtype
        self._file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")
        _open.add(self._file)
        try:
            self._end = self._open_header(plan)
            self._replay()
        except BaseException:
            self.close()
            raise

    def append(self, record: Record, provenance: Mapping[str, str | int | float]) -> None:
        """Adds the record, on disk when this returns."""
        meta: dict[str, Any] = {
            "video_id": record.video_id,
            "status": record.status,
            "reason": record.reason,
            "completeness": float(record.completeness),
            "num_errors": int(record.num_errors),
            "num_rows": len(record.features),
            "num_spans": None if record.spans is None else len(record.spans),
            "features_crc32c": crc32c(record.features),
            "provenance": dict(provenance),
        }
        data = [part for part in (record.spans, record.features) if part is not None]
        frame = encode_frame(RECORD_MARKER, meta, data)
        try:
            write_at(self._file.fileno(), frame, self._end)
            os.fsync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), self._end)  # a full disk: leave no half record
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._end += len(frame)
        data_offset = self._end - sum(part.nbytes for part in data)
        self.entries[record.video_id] = Entry(**meta, data_offset=data_offset)
        self.attempts[record.video_id] += 1

    def features(self, entry: Entry) -> NDArray[Any]:
        """The features of one record."""
        features = np.empty((entry.num_rows, self._dim), self._row_dtype)
        spans_bytes = (entry.num_spans or 0) * SPAN.itemsize
        read_at(self._file.fileno(), features, entry.data_offset + spans_bytes)
        return features

    def spans(self, entry: Entry) -> NDArray[Any]:
        """The spans (SPAN) of one record; none where there are none."""
        spans = np.empty(entry.num_spans or 0, SPAN)
        read_at(self._file.fileno(), spans, entry.data_offset)
        return spans

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def _open_header(self, plan: ShardPlan) -> int:
        """Checks the header, or writes it where there is none; returns where records begin."""
        descriptor = self._file.fileno()
        expected = encode_frame(HEADER_MARKER, _header(plan))
        found = find_frame(descriptor, 0, HEADER_MARKER)
        if found and is_intact(descriptor, found):
            plan.check_same(_read_header(self.path, found), self.path)
            return found.end
        size = os.fstat(descriptor).st_size
        begun = os.pread(descriptor, len(expected), 0).rstrip(b"\0")
        # Nothing, zeros or a part: a crash while the header was being written. There are no
        # records yet. Anything else was a journal once and is not ours to overwrite.
        if size > len(expected) or not expected.startswith(begun):
            raise ValueError(
                f"{self.path}: the header is damaged, and nothing behind it can be trusted; "
                "delete the file to do the shard again"
            )
        os.ftruncate(descriptor, 0)
        write_at(descriptor, expected, 0)
        os.fsync(descriptor)
        fsync_folder(self.path.parent)
        return len(expected)

    def _replay(self) -> None:
        """Takes in the records that are whole and cuts off the rest."""
        descriptor = self._file.fileno()
        for frame in _record_frames(descriptor, self._end):
            if not is_intact(descriptor, frame):
                break
            entry = Entry(**json.loads(frame.meta), data_offset=frame.data_offset)
            self.entries[entry.video_id] = entry
            self.attempts[entry.video_id] += 1
            self._end = frame.end
        self.dropped_bytes = os.fstat(descriptor).st_size - self._end
        if self.dropped_bytes:
            os.ftruncate(descriptor, self._end)
            os.fsync(descriptor)


def peek(path: Path) -> tuple[ShardPlan, list[Entry]]:
    """Plan and records of a journal that somebody may be writing.

    Reads what describes the records, not their data, and changes nothing.

    Raises:
        ValueError: If the file has no whole header (yet).
    """
    with path.open("rb") as file:
        header = find_frame(file.fileno(), 0, HEADER_MARKER)
        if header is None or not is_intact(file.fileno(), header):
            raise ValueError(f"{path}: no whole header; run `python jobs/extract.py` to carry on")
        plan = _read_header(path, header)
        entries = {}
        for frame in _record_frames(file.fileno(), header.end):
            try:
                meta = json.loads(frame.meta)
            except ValueError:
                break  # a torn end, which the next writer cuts off
            entries[meta["video_id"]] = Entry(**meta, data_offset=frame.data_offset)
    return plan, list(entries.values())


def _record_frames(descriptor: int, offset: int) -> Iterator[Frame]:
    while frame := find_frame(descriptor, offset, RECORD_MARKER):
        yield frame
        offset = frame.end


def _header(plan: ShardPlan) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "fingerprint": json.loads(plan.fingerprint.to_json()),
        "video_ids": list(plan.video_ids),
    }


def _read_header(path: Path, frame: Frame) -> ShardPlan:
    header = json.loads(frame.meta)
    if header["format_version"] not in READABLE_VERSIONS:
        raise ValueError(
            f"{path}: begun by a version of the code with format {header['format_version']}, "
            f"this one has {FORMAT_VERSION}; finish it with that one, or delete it"
        )
    return ShardPlan(header["video_ids"], Fingerprint(**header["fingerprint"]))


_open: "weakref.WeakSet[io.FileIO]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    # A forked child may outlive the writer, and is not to hold or write what the next one writes.
    for file in list(_open):
        file.close()


os.register_at_fork(after_in_child=_let_go_in_child)
