"""Shards of features: every planned video becomes a record in each, then they are sealed.

Imports no torch: captions need none.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from mcn.data.failure_class import class_of, is_due
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record
from mcn.store.writer import Failure, ShardWriter


@runtime_checkable
class RecordSource(Protocol):
    """Makes the records of one store."""

    fingerprint: Fingerprint
    """What decides the rows."""
    provenance: dict[str, str | int | float]
    """On what they were computed; decides nothing that matters."""

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        """A record for each video in the order given, of the failed ones too."""


class Wanted(NamedTuple):
    """A video, and who lacks it."""

    video_id: str
    sources: tuple[int, ...]
    """By their numbers."""


@dataclass(frozen=True, kw_only=True)
class ShardToFill:
    """A shard of one store."""

    path: Path
    """Where it is sealed already nothing is left to do."""
    video_ids: Sequence[str]
    """What it shall hold."""
    source: RecordSource
    """Of its records."""


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
    shard = ShardToFill(path=path, video_ids=video_ids, source=source)
    fill_shards(
        [shard],
        lambda wanted: ((0, r) for r in source.records(video_id for video_id, _ in wanted)),
        progress=progress,
        stop=stop,
    )


def fill_shards(
    shards: Sequence[ShardToFill],
    records_of: Callable[[Iterable[Wanted]], Iterator[tuple[int, Record]]],
    *,
    progress: Progress,
    stop: StopRequest,
) -> None:
    """The sealed shards, made together from where an earlier try left off.

    Args:
        shards: Of different stores. They need not hold the same videos, nor lack the same.
        records_of: Makes the records of videos, each with the number of its shard.
        progress: Told of each shard's videos as they are done.
        stop: Once it is set no further video is begun; those under way are finished.

    Raises:
        StoppedEarlyError: It was set; what is done is kept.
        ShardBusyError: Another process is making one of the shards.
    """
    with ExitStack() as stack:
        writers = [stack.enter_context(_writer(shard)) for shard in shards]
        left = [_left(*each) for each in zip(writers, shards, strict=True)]
        num_planned = sum(len(shard.video_ids) for shard in shards)
        progress.skip(num_planned - sum(map(len, left)))
        # What takes the decoder down has its second try after all others have had their first.
        while any(left) and not stop.is_set:
            wanted = itertools.takewhile(lambda _: not stop.is_set, _wanted(left))
            for number, record in records_of(wanted):
                writers[number].append(record)
                if not _is_left(writers[number].failure(record.video_id)):
                    progress.advance(frames=len(record.features))
            left = [_left(*each) for each in zip(writers, shards, strict=True)]
        if any(left):
            words = ", ".join(
                f"{len(video_ids)} videos of {shard.path}"
                for video_ids, shard in zip(left, shards, strict=True)
                if video_ids
            )
            raise StoppedEarlyError(f"asked to stop: {words} are left")
        for writer in writers:
            writer.seal()


def _writer(shard: ShardToFill) -> ShardWriter:
    writer = ShardWriter(
        shard.path,
        video_ids=shard.video_ids,
        fingerprint=shard.source.fingerprint,
        provenance=shard.source.provenance,
    )
    if writer.dropped_bytes:
        print(f"{shard.path}: {writer.dropped_bytes} damaged bytes of its journal are made again")
    return writer


def _left(writer: ShardWriter, shard: ShardToFill) -> list[str]:
    """The videos that are still to be tried."""
    done = writer.done
    return [v for v in shard.video_ids if v not in done or _is_left(writer.failure(v))]


def _is_left(failure: Failure | None) -> bool:
    return failure is not None and is_due(class_of(failure.reason), failure.attempts, None)


def _wanted(left: Sequence[Sequence[str]]) -> list[Wanted]:
    """Each video that a shard lacks, once, in the order of the shards."""
    numbers: dict[str, list[int]] = {}
    for number, video_ids in enumerate(left):
        for video_id in video_ids:
            numbers.setdefault(video_id, []).append(number)
    return [Wanted(video_id, tuple(those)) for video_id, those in numbers.items()]
