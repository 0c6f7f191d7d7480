"""One shard of one modality: every planned video becomes a record, then the shard is sealed."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mcn.data.failure_class import class_of, is_due
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record
from mcn.store.writer import Failure, ShardWriter


@runtime_checkable
class RecordSource(Protocol):
    """Makes the records of one modality."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides the rows."""

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """On what they were computed; decides nothing that matters."""

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        """A record for each video in the order given, of the failed ones too."""


def features_record(
    video_id: str, rows: Float[Tensor, "rows dim"], completeness: float, fingerprint: Fingerprint
) -> Record:
    """A record of features; a failed one where float16 cannot hold them or there are none."""
    if not len(rows):
        return failed_record(video_id, "too-short", fingerprint)
    features = rows.half()
    if not features.isfinite().all():
        return failed_record(video_id, "not-finite", fingerprint)
    return Record(video_id, "done", "", completeness, features.numpy())


def failed_record(video_id: str, reason: str, fingerprint: Fingerprint) -> Record:
    """The record of a video without features."""
    return Record(video_id, "failed", reason, 0.0, np.zeros((0, fingerprint.dim), np.float16))


def extract_shard(
    path: Path,
    video_ids: Sequence[str],
    source: RecordSource,
    *,
    progress: Progress,
    stop: StopRequest,
) -> None:
    """The sealed shard at `path`, made from where an earlier try left off.

    Args:
        path: The shard; where it is sealed already nothing is left to do.
        video_ids: What it shall hold.
        source: Makes the records that are missing.
        progress: Told of videos as they are done.
        stop: Once it is set no further video is begun; those under way are finished.

    Raises:
        StoppedEarlyError: It was set; what is done is kept.
        ShardBusyError: Another process is making this shard.
    """
    with ShardWriter(
        path, video_ids=video_ids, fingerprint=source.fingerprint, provenance=source.provenance
    ) as writer:
        if writer.dropped_bytes:
            print(f"{path}: {writer.dropped_bytes} damaged bytes of its journal are made again")
        missing = _missing(writer, video_ids)
        progress.skip(len(video_ids) - len(missing))
        # What takes the decoder down has its second try after all others have had their first.
        while missing and not stop.is_set:
            for record in source.records(itertools.takewhile(lambda _: not stop.is_set, missing)):
                writer.append(record)
                if not _is_left(writer.failure(record.video_id)):
                    progress.advance(frames=len(record.features))
            missing = _missing(writer, video_ids)
        num_left = len(missing)
        if num_left:
            raise StoppedEarlyError(f"{path}: asked to stop, {num_left} videos are left")
        writer.seal()


def _missing(writer: ShardWriter, video_ids: Iterable[str]) -> list[str]:
    """The videos that are still to be tried."""
    done = writer.done
    return [v for v in video_ids if v not in done or _is_left(writer.failure(v))]


def _is_left(failure: Failure | None) -> bool:
    return failure is not None and is_due(class_of(failure.reason), failure.attempts, None)
