"""Reads features of a folder of sealed shards, at the speed of `pread`.

Each file's label and index say where the rows lie; they are read at their offset in the file, by
any number of threads and processes. HDF5 is asked for the fingerprint only.
"""

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcn.store.construction import newest_journals
from mcn.store.descriptors import Descriptors
from mcn.store.fingerprint import Fingerprint
from mcn.store.newest import UNPLANNED, PlannedNumbers, newest_reasons
from mcn.store.rawio import read_at
from mcn.store.record import SPAN
from mcn.store.shard import SealedShard, open_shard, shard_paths
from mcn.store.snapshot import Labels, pinned_shards


class VideoEntry(NamedTuple):
    """What the index says of a video."""

    shard: Path
    num_rows: int
    completeness: float
    num_errors: int
    """Places at which the file was damaged; -1 where they were not counted."""


class FeatureStore:
    """All features of one modality that are in sealed shards at the time of opening.

    Half-made shards are not seen. A video that failed in one shard and is done in another, where it
    was tried again, is done; of one that is done in several, the record that was planned last
    counts. Can be pickled and forked: each process opens its own files.
    """

    def __init__(self, folder: Path, *, mixed: bool = False, pinned: Labels | None = None) -> None:
        """Opens the shards of a folder.

        Args:
            folder: A modality of the store, `store/video-resnet152`.
            mixed: Take shards of different extractors, weights or recipes together; width, rate
                and type of the rows must be equal all the same, and what numbers of words mean.
            pinned: Open just these shards, as they were in a snapshot.

        Raises:
            FileNotFoundError: If there are no shards.
            ValueError: If two shards do not go together or have the same video and nothing says
                which is newer, or one cannot be read or is not the one that was in the snapshot.
        """
        self.folder = folder
        shards = _open_shards(folder) if pinned is None else pinned_shards(folder, pinned)
        self.fingerprints = _fingerprints(shards, mixed=mixed)
        """The fingerprints of all shards, each once; more than one only where mixed."""
        self.dim = self.fingerprints[0].dim
        self.rows_per_second = self.fingerprints[0].rows_per_second
        self._row_dtype = self.fingerprints[0].row_dtype
        self._row_bytes = self.dim * self._row_dtype.itemsize
        self._paths = [shard.path for shard in shards]
        self._descriptors = Descriptors(shards)
        sizes = [len(shard.index) for shard in shards]
        self._shard = _integers(np.repeat(np.arange(len(shards)), sizes))
        self._num_rows = _integers(*(shard.index["num_rows"] for shard in shards))
        self._offset = _integers(*(_row_offsets(shard, self._row_bytes) for shard in shards))
        self._num_spans = _integers(*(shard.index["num_spans"] for shard in shards))
        self._span_offset = _integers(*(_span_offsets(shard) for shard in shards))
        self._completeness = np.concatenate([shard.index["completeness"] for shard in shards])
        self._num_errors = np.concatenate([shard.index["num_errors"] for shard in shards])
        ids: list[str] = [
            id_.decode() for shard in shards for id_ in shard.index["video_id"].tolist()
        ]
        done = np.concatenate([shard.index["status"] == b"done" for shard in shards]).tolist()
        planned = PlannedNumbers(folder)
        numbers = [planned.of(shard) for shard in shards]
        self._position = {id_: at for at, id_ in enumerate(ids) if done[at]}
        if len(self._position) < sum(done):
            self._position = _newest(shards, ids, done, np.concatenate(numbers).tolist())
        reasons = _reasons(shards, numbers)
        self._reasons = {k: v for k, v in reasons.items() if k not in self._position}
        self.video_ids = list(self._position)
        """Videos that are done, in the order of the shards."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What made all the features."""
        if len(self.fingerprints) > 1:
            raise ValueError(f"{self.folder} was opened mixed; ask for its fingerprints")
        return self.fingerprints[0]

    def __len__(self) -> int:
        return len(self.video_ids)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._position

    def entry(self, video_id: str) -> VideoEntry:
        """Shard, number of rows, completeness and errors of a video that is done."""
        at = self._find(video_id)
        path = self._paths[self._shard[at]]
        return VideoEntry(
            path,
            self._num_rows[at],
            float(self._completeness[at]),
            int(self._num_errors[at]),
        )

    def read(
        self,
        video_id: str,
        first_row: int = 0,
        stop_row: int | None = None,
        *,
        empty: Callable[[tuple[int, ...], "np.dtype[Any]"], NDArray[Any]] = np.empty,
    ) -> NDArray[Any]:
        """Rows [first_row, stop_row) of a video as (rows, dim); all of them by default.

        Args:
            video_id: The video.
            first_row: Begin of the rows.
            stop_row: Their end; by default that of the video.
            empty: Gives the array of a shape and type that they are read into.

        Raises:
            KeyError: If the store has no features of the video.
            ValueError: If the video has no such rows.
        """
        at = self._find(video_id)
        num_rows = self._num_rows[at]
        stop = num_rows if stop_row is None else stop_row
        if not 0 <= first_row <= stop <= num_rows:
            raise ValueError(
                f"video {video_id!r} has rows [0, {num_rows}), not [{first_row}, {stop})"
            )
        rows = empty((stop - first_row, self.dim), self._row_dtype)
        self._fill(rows, self._shard[at], self._offset[at] + first_row * self._row_bytes)
        return rows

    def spans(self, video_id: str) -> NDArray[Any]:
        """The spans of a video (SPAN), the rows of each behind those of the one before.

        Raises:
            KeyError: If the store has no features of the video.
            ValueError: If the rows of this store come at a fixed rate and need no spans.
        """
        at = self._find(video_id)
        if self.rows_per_second is not None:
            raise ValueError(
                f"{self.folder} has no spans: its rows come at {self.rows_per_second} per second"
            )
        spans = np.empty(self._num_spans[at], SPAN)
        self._fill(spans, self._shard[at], self._span_offset[at])
        return spans

    def failures(self) -> list[tuple[str, str]]:
        """Videos that failed, with the reason of each."""
        return list(self._reasons.items())

    def _fill(self, rows: NDArray[Any], shard: int, offset: int) -> None:
        if not rows.size:
            return
        descriptor = self._descriptors[shard]
        try:
            read_at(descriptor.number, rows, offset)
        except EOFError as error:
            raise OSError(
                f"{self._paths[shard]}: {error}; see `python jobs/store.py verify`"
            ) from error

    def _find(self, video_id: str) -> int:
        at = self._position.get(video_id)
        if at is not None:
            return at
        if video_id in self._reasons:
            raise KeyError(f"video {video_id!r} failed in {self.folder}: {self._reasons[video_id]}")
        raise KeyError(f"video {video_id!r} is not in {self.folder}")


def _open_shards(folder: Path) -> list[SealedShard]:
    paths = shard_paths(folder)
    if not paths:
        begun = len(newest_journals(folder))
        found = f"only {begun} shards under construction" if begun else "no shards"
        raise FileNotFoundError(f"{folder} holds {found}; `python jobs/extract.py` makes them")
    return [open_shard(path) for path in paths]


def _fingerprints(shards: Sequence[SealedShard], *, mixed: bool) -> list[Fingerprint]:
    """Each fingerprint once, in order of the shards, after checking that they go together."""
    first_with: dict[str, SealedShard] = {}
    for shard in shards:
        first_with.setdefault(shard.label.fingerprint_digest, shard)
    fingerprints = [shard.fingerprint() for shard in first_with.values()]
    one = fingerprints[0]
    for shard, other in zip(first_with.values(), fingerprints, strict=True):
        fits = _meaning(other) == _meaning(one)
        if other is not one and not (mixed and fits):
            way_out = "mixed=True reads both" if fits else "they cannot be read together"
            raise ValueError(
                f"{shards[0].path} and {shard.path} were made differently "
                f"({one.differences(other)}); {way_out}"
            )
    return fingerprints


def _meaning(fingerprint: Fingerprint) -> tuple[object, ...]:
    """What must be equal in rows that are read together: numbers of words have one table."""
    table = fingerprint.weights_sha256 if fingerprint.row_type == "int32" else ""
    return fingerprint.dim, fingerprint.rows_per_second, fingerprint.row_type, table


def _integers(*parts: NDArray[Any]) -> "array[int]":
    """As Python's own array, whose single items are read three times as fast as numpy's."""
    return array("q", np.concatenate(parts).astype(np.int64).tobytes())


def _row_offsets(shard: SealedShard, row_bytes: int) -> NDArray[np.int64]:
    first_row: NDArray[np.int64] = shard.index["first_row"]
    return shard.label.features[0] + first_row * row_bytes


def _span_offsets(shard: SealedShard) -> NDArray[np.int64]:
    first_span: NDArray[np.int64] = shard.index["first_span"]
    return shard.label.spans[0] + first_span * SPAN.itemsize


def _newest(
    shards: Sequence[SealedShard], ids: Sequence[str], done: Sequence[bool], numbers: Sequence[int]
) -> dict[str, int]:
    """Where the record of each video is that is done, and was planned last."""
    shard_of = [shard for shard in shards for _ in range(len(shard.index))]
    position: dict[str, int] = {}
    for at, video_id in enumerate(ids):
        if not done[at]:
            continue
        other = position.setdefault(video_id, at)
        if other == at:
            continue
        one, two = shard_of[other], shard_of[at]
        is_alike = one.label.fingerprint_digest == two.label.fingerprint_digest
        if (
            not is_alike
            or numbers[at] == numbers[other]
            or UNPLANNED in (numbers[at], numbers[other])
        ):
            raise ValueError(
                f"video {video_id!r} is in {one.path} and in {two.path}, and nothing says which of "
                "them is newer; delete one"
            )
        if numbers[at] > numbers[other]:
            position[video_id] = at
    return position


def _reasons(shards: Sequence[SealedShard], numbers: Sequence[NDArray[np.int64]]) -> dict[str, str]:
    """Why each failed video failed the last time."""
    failed = [shard.index["status"] == b"failed" for shard in shards]
    reasons = newest_reasons(
        [shard.index[is_failed] for shard, is_failed in zip(shards, failed, strict=True)],
        [each[is_failed] for each, is_failed in zip(numbers, failed, strict=True)],
    )
    return {video_id.decode(): reason.decode() for video_id, reason in reasons.items()}
