"""One shard of one modality: every planned video becomes a record, then the shard is sealed."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record
from mcn.store.writer import ShardWriter


class RecordSource(Protocol):
    """Makes the records of one modality."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides the rows."""

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """On what they were computed; decides nothing that matters."""

    def records(self, video_ids: Sequence[str]) -> Iterator[Record]:
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
    on_videos: Callable[[int], None],
) -> None:
    """The sealed shard at `path`, made from where an earlier try left off.

    Args:
        path: The shard; where it is sealed already nothing is left to do.
        video_ids: What it shall hold.
        source: Makes the records that are missing.
        on_videos: Told of videos as they are done, for progress.
    """
    with ShardWriter(
        path, video_ids=video_ids, fingerprint=source.fingerprint, provenance=source.provenance
    ) as writer:
        if writer.dropped_bytes:
            print(f"{path}: {writer.dropped_bytes} damaged bytes of its journal are made again")
        done = writer.done
        missing = [video_id for video_id in video_ids if video_id not in done]
        on_videos(len(video_ids) - len(missing))
        for record in source.records(missing):
            writer.append(record)
            on_videos(1)
        writer.seal()
