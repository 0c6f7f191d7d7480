"""Features that exist as one file a video, as a sealed shard that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcn.progress import Progress
from mcn.store.exchange.array_file import UnusableFileError, read_rows
from mcn.store.exchange.array_folder import ArrayFolder
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record
from mcn.store.writer import ShardWriter

UNKNOWN_WEIGHTS = "unknown"
"""In place of the SHA-256 of weights that nobody has."""
IMPORTED = "imported"


@dataclass(frozen=True, kw_only=True)
class ArrayFormat:
    """What is in the files, as whoever has them says: the files themselves do not."""

    extractor: str
    dim: int
    rows_per_second: float
    key: str | None = None
    """Array of an .npz; by default its only one."""
    is_transposed: bool = False
    """Files hold (dim, rows)."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Says that the features were imported, and that nobody knows the weights."""
        return Fingerprint(
            self.extractor,
            UNKNOWN_WEIGHTS,
            self.dim,
            self.rows_per_second,
            {"origin": IMPORTED},
        )


def import_shard(
    path: Path,
    video_ids: Sequence[str],
    arrays: ArrayFolder,
    array_format: ArrayFormat,
    *,
    progress: Progress,
) -> None:
    """The sealed shard at `path`, made from where an earlier try left off.

    Files that hold no usable features become failures with a reason.

    Raises:
        ShardBusyError: Another process is making this shard.
        OSError: A file cannot be read now; run it again.
    """
    provenance: dict[str, str | int | float] = {"origin": IMPORTED}
    with ShardWriter(
        path, video_ids=video_ids, fingerprint=array_format.fingerprint, provenance=provenance
    ) as writer:
        missing = [video_id for video_id in video_ids if video_id not in writer.done]
        progress.skip(len(video_ids) - len(missing))
        for video_id in missing:
            record = _record(video_id, arrays, array_format)
            writer.append(record)
            progress.advance(frames=len(record.features))
        writer.seal()


def _record(video_id: str, arrays: ArrayFolder, array_format: ArrayFormat) -> Record:
    try:
        rows = read_rows(
            arrays.file_of(video_id),
            dim=array_format.dim,
            key=array_format.key,
            is_transposed=array_format.is_transposed,
        )
    except UnusableFileError as unusable:
        return failed_record(video_id, str(unusable), array_format.fingerprint)
    if not len(rows):
        return failed_record(video_id, "no-rows", array_format.fingerprint)
    return Record(video_id, "done", "", 1.0, rows)


def failed_record(video_id: str, reason: str, fingerprint: Fingerprint) -> Record:
    """The record of a video without usable features."""
    no_rows = np.zeros((0, fingerprint.dim), fingerprint.row_dtype)
    return Record(video_id, "failed", reason, 0.0, no_rows)
