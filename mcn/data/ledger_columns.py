"""The ledger of a step as columns: 900,000 outcomes in a fraction of a second.

Beside `00042.jsonl`, which says it all, lies `00042.columns`, which whoever writes the lines leaves
when it ends: what they say but for their sentences, and up to which byte, with a checksum of those
bytes. A ledger is only added to, so what was written since is read from the lines themselves; where
the columns are missing or damaged, or the lines are not those any more, that is all of it.
"""

import json
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray

from mcn.data.failure_class import FailureClass, Retry, is_due
from mcn.data.ledger import LedgerFile, Outcome
from mcn.store.checksum import crc32c
from mcn.store.ids import as_texts, texts_missing

COLUMNS_SUFFIX = ".columns"
_CLASS_OF_CODE: dict[int, FailureClass] = {1: "permanent", 2: "transient", 3: "poison"}
_CODE_OF_CLASS = {failure: code for code, failure in _CLASS_OF_CODE.items()}
_FORMAT = "mcn-ledger-columns-2"


def outcome_dtype(*, id_bytes: int, reason_bytes: int) -> "np.dtype[Any]":
    """Type of an outcome; strings are UTF-8, as wide as the widest."""
    return np.dtype(
        [
            ("video_id", f"S{max(1, id_bytes)}"),
            ("failure", "u1"),  # 0 where it is done, else the class
            ("reason", f"S{max(1, reason_bytes)}"),
            ("attempts", "<u4"),
            ("num_frames", "<i8"),
            ("seconds", "<f8"),
            ("completeness", "<f8"),
            ("num_errors", "<i4"),
            ("is_source_deleted", "?"),
        ]
    )


@dataclass(frozen=True)
class StepColumns:
    """The newest outcomes of a step."""

    rows: Shaped[np.ndarray, " videos"]
    """Of `outcome_dtype`."""
    damaged: list[str]
    """A sentence for each line that holds no outcome, and counts as if it had not been written."""

    @cached_property
    def done(self) -> Shaped[np.ndarray, " done"]:
        done: NDArray[Any] = self.rows[self.rows["failure"] == 0]
        return done

    def by_id(self, *fields: str) -> dict[str, Any]:
        """One column of the videos that are done, or tuples of several."""
        done = self.done
        columns = [done[field].tolist() for field in fields]
        values = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
        return dict(zip(as_texts(done["video_id"]), values, strict=True))

    def left(self, video_ids: Collection[str], retry: Retry | None) -> set[str]:
        """Those of the videos that are still to be done, as `is_left` of the ledger says it."""
        is_final = self.rows["failure"] == 0
        failed = np.flatnonzero(~is_final)
        is_final[failed] = [
            not is_due(_CLASS_OF_CODE[failure], attempts, retry)
            for failure, attempts in zip(
                self.rows["failure"][failed].tolist(),
                self.rows["attempts"][failed].tolist(),
                strict=True,
            )
        ]
        return texts_missing(video_ids, self.rows["video_id"][is_final])

    def poison_attempts(self) -> list[int]:
        """How often each video was tried that last took its decoder down."""
        is_poison = self.rows["failure"] == _CODE_OF_CLASS["poison"]
        attempts: list[int] = self.rows["attempts"][is_poison].tolist()
        return attempts

    def failures(self) -> dict[FailureClass, Counter[str]]:
        """How many videos have failed, by class and reason."""
        counts: dict[FailureClass, Counter[str]] = {}
        for code, failure in _CLASS_OF_CODE.items():
            reasons = self.rows["reason"][self.rows["failure"] == code]
            if len(reasons):
                counts[failure] = Counter(as_texts(reasons))
        return counts


def read_columns(folder: Path) -> StepColumns:
    """The newest outcomes of all shards of one step."""
    files = [_read(path) for path in sorted(folder.glob("*.jsonl"))]
    return StepColumns(
        _joined([file.rows for file in files]),
        [sentence for file in files for sentence in file.sentences()],
    )


def leave_columns(ledger: LedgerFile) -> None:
    """Put the columns of a ledger file beside it, if they are not there as they should be."""
    file = _read(ledger.path)
    if file.num_unread == 0:
        return
    about = {
        "format": _FORMAT,
        "stop": file.stop,
        "lines_crc32c": _lines_crc32c(ledger.path, file.stop),
        "damaged": file.damaged,
        "id_bytes": file.rows.dtype["video_id"].itemsize,
        "reason_bytes": file.rows.dtype["reason"].itemsize,
        "crc32c": crc32c(file.rows),
    }
    # Whoever was fenced off may do this at the same time, and of the same lines.
    aside = ledger.path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    aside.write_bytes(json.dumps(about).encode() + b"\n" + file.rows.tobytes())
    aside.replace(ledger.path.with_suffix(COLUMNS_SUFFIX))


class _File(NamedTuple):
    path: Path
    rows: NDArray[Any]
    damaged: list[int]
    stop: int
    num_unread: int
    """Bytes of lines that the columns beside it did not have."""

    def sentences(self) -> Iterator[str]:
        for place in self.damaged:
            yield f"{self.path}: the line at byte {place} is damaged; its video is done again"


def _read(path: Path) -> _File:
    size = path.stat().st_size if path.exists() else 0
    rows, damaged, stop = _left_columns(path, size)
    if stop == size:
        return _File(path, rows, damaged, stop, 0)
    lines = LedgerFile(path).read_lines(stop)
    newest = {outcome.video_id: outcome for outcome in lines.outcomes}
    new = _as_rows(list(newest.values()))
    kept = rows[~np.isin(rows["video_id"], new["video_id"])]
    return _File(path, _joined([kept, new]), damaged + lines.damaged, lines.stop, lines.stop - stop)


def _left_columns(path: Path, size: int) -> tuple[NDArray[Any], list[int], int]:
    """Rows, damaged lines and the byte up to which they go; nothing where they are of no use."""
    try:
        head, _, body = path.with_suffix(COLUMNS_SUFFIX).read_bytes().partition(b"\n")
        about = json.loads(head)
        dtype = outcome_dtype(id_bytes=about["id_bytes"], reason_bytes=about["reason_bytes"])
        rows = np.frombuffer(body, dtype)
        is_sound = about["format"] == _FORMAT and about["crc32c"] == crc32c(body)
        stop = about["stop"]
        # Whoever edits lines by hand moves those behind them: a video would be lost for good.
        if is_sound and stop <= size and about["lines_crc32c"] == _lines_crc32c(path, stop):
            return rows, about["damaged"], stop
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    return np.empty(0, outcome_dtype(id_bytes=0, reason_bytes=0)), [], 0


def _lines_crc32c(path: Path, stop: int) -> int:
    with path.open("rb") as file:
        return crc32c(file.read(stop))


def _as_rows(outcomes: Sequence[Outcome]) -> NDArray[Any]:
    ids = [outcome.video_id.encode() for outcome in outcomes]
    reasons = [outcome.reason.encode() for outcome in outcomes]
    dtype = outcome_dtype(
        id_bytes=max(map(len, ids), default=0), reason_bytes=max(map(len, reasons), default=0)
    )
    rows = np.zeros(len(outcomes), dtype)
    rows["video_id"], rows["reason"] = ids, reasons
    rows["failure"] = [
        0 if (failure := outcome.failure) is None else _CODE_OF_CLASS[failure]
        for outcome in outcomes
    ]
    for name in (
        "attempts",
        "num_frames",
        "seconds",
        "completeness",
        "num_errors",
        "is_source_deleted",
    ):
        rows[name] = [getattr(outcome, name) for outcome in outcomes]
    return rows


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    widths = {
        name: max((part.dtype[name].itemsize for part in parts), default=0)
        for name in ("video_id", "reason")
    }
    dtype = outcome_dtype(id_bytes=widths["video_id"], reason_bytes=widths["reason"])
    rows = np.empty(sum(map(len, parts)), dtype)
    first = 0
    for part in parts:
        for name in dtype.names or ():
            rows[name][first : first + len(part)] = part[name]
        first += len(part)
    return rows
