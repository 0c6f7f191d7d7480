"""Writes one shard: record by record into a journal, at the end into one HDF5 file.

The steps of sealing are such that a crash between any two of them is mended by running again:
pack aside, fsync, verify by reading all of it, link it to its place, fsync the folder, delete what
was needed to make it, the lease last. A sealed file beside a lease is a crash after the linking,
and an unfinished packing is begun anew.

A link is refused where there is a file already. So of two writers that both believe to hold the
lease, which a pause between looking and linking can bring about, one seals, and readers never see a
shard replaced.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from mcn.store.construction import clear_away, let_go, newest_token, packing_path, take_over_journal
from mcn.store.fingerprint import Fingerprint
from mcn.store.holder import Holder
from mcn.store.journal import Journal
from mcn.store.layout import is_sealed, lease_folder
from mcn.store.lease import LEASE_SECONDS, Lease, LeaseLostError, acquire
from mcn.store.pack import pack
from mcn.store.plan import ShardPlan
from mcn.store.rawio import fsync_folder
from mcn.store.record import Record, check_record
from mcn.store.shard import open_shard
from mcn.store.verify import verify_shard


class ShardWriter:
    """The one writer of a shard; what an earlier one has done is kept.

    The bytes of the sealed file are decided by the plan, the records and their provenance alone,
    and not by the order of the records or the number of restarts. Nothing that differs between
    two runs (a time, a job id) may therefore be in the provenance.
    """

    def __init__(
        self,
        path: Path,
        *,
        video_ids: Sequence[str],
        fingerprint: Fingerprint,
        provenance: Mapping[str, str | int | float],
        holder: Holder | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """Begins the shard `path`, or carries on with it.

        Args:
            path: The file to be, `.../00042.h5`; its folder is made if missing.
            video_ids: The planned videos, in the order of their rows.
            fingerprint: What must be equal for all features of a store.
            provenance: What made the records of this writer; kept with each of them.
            holder: Who writes; by default this process.
            lease_seconds: How long a writer elsewhere waits until it takes this one for dead.

        Raises:
            ShardBusyError: If another process writes the shard.
            ValueError: If it was begun for other videos or with another fingerprint.
        """
        self.path = path
        self.plan = ShardPlan(tuple(video_ids), fingerprint)
        self.provenance = dict(provenance)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._planned = frozenset(video_ids)
        self._held: _Held | None = None
        if is_sealed(path):
            self.plan.check_same(open_shard(path).plan(), path)
            return
        lease = acquire(
            lease_folder(path),
            holder or Holder.here(),
            lease_seconds=lease_seconds,
            after=newest_token(path),
        )
        try:
            self._held = self._begin(lease)
        except BaseException:
            let_go(path, lease)
            raise

    @property
    def done(self) -> set[str]:
        """Videos that have a record, be they done or failed."""
        return set(self._planned if self._held is None else self._held.journal.entries)

    def failure(self, video_id: str) -> "Failure | None":
        """How a video has failed so far; None of a shard that is sealed, where all is final."""
        if self._held is None:
            return None
        journal = self._held.journal
        entry = journal.entries.get(video_id)
        if entry is None or entry.status == "done":
            return None
        return Failure(entry.reason, journal.attempts[video_id])

    @property
    def dropped_bytes(self) -> int:
        """What a crash or a bad disk had spoilt of the journal, cut off at opening."""
        return 0 if self._held is None else self._held.journal.dropped_bytes

    def append(
        self, record: Record, provenance: Mapping[str, str | int | float] | None = None
    ) -> None:
        """Adds one video's record, on disk when this returns; in place of a failed one of it.

        Args:
            record: What became of the video.
            provenance: Of a record that comes from another file; by default this writer's.

        Raises:
            ValueError: If the video is not planned or is done, or if the record is not sound.
            LeaseLostError: If another process has taken the shard over.
        """
        if record.video_id not in self._planned:
            raise ValueError(f"video {record.video_id!r} is not planned for {self.path}")
        if self._held is None or self._is_done(record.video_id, self._held.journal):
            raise ValueError(f"video {record.video_id!r} already has a record in {self.path}")
        check_record(record, self.plan.fingerprint)
        with self._held.lease.explain_errors():
            self._held.journal.append(record, self.provenance if provenance is None else provenance)
        self._held.lease.check()

    def seal(self) -> Path:
        """Packs the shard and puts it in its place; on a sealed shard it does nothing.

        Needs the room of the shard a second time until the journal is deleted.

        Raises:
            ValueError: If a planned video has no record.
            LeaseLostError: If another process has taken the shard over, or sealed it.
            OSError: If the packed file does not read back as it was written.
        """
        if self._held is None:
            return self.path
        done = self.done
        missing = [video_id for video_id in self.plan.video_ids if video_id not in done]
        if missing:
            raise ValueError(
                f"{self.path}: {len(missing)} of {len(self.plan.video_ids)} planned videos have "
                f"no record, {missing[0]!r} first; append theirs before sealing"
            )
        lease, journal = self._held
        packing = packing_path(self.path, lease.token)
        try:
            with lease.explain_errors():
                pack(journal, self.plan, packing)
                problems = verify_shard(packing)
                lease.check()
                if problems:
                    raise OSError(
                        f"{packing}: does not read back as it was written ({problems[0]}); "
                        "check the disk and run again, the journal is kept"
                    )
                self._put_in_place(packing)
        except BaseException:
            packing.unlink(missing_ok=True)
            raise
        fsync_folder(self.path.parent)
        self._held = None
        journal.close()
        with lease:
            clear_away(self.path, lease)
        return self.path

    def close(self) -> None:
        """Lets go of the shard; what has been appended stays for the next writer."""
        if self._held is not None:
            self._held.journal.close()
            let_go(self.path, self._held.lease)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def _is_done(video_id: str, journal: Journal) -> bool:
        return video_id in journal.entries and journal.entries[video_id].status == "done"

    def _begin(self, lease: Lease) -> "_Held | None":
        """Journal and lease; None where the shard is sealed, and only what made it was left."""
        if self.path.exists() and not verify_shard(self.path):
            self.plan.check_same(open_shard(self.path).plan(), self.path)
            clear_away(self.path, lease)
            return None
        with lease.explain_errors():
            return _Held(lease, Journal(take_over_journal(self.path, lease), self.plan))

    def _put_in_place(self, packing: Path) -> None:
        """Links a verified file to the shard's place, where no sound one may be yet."""
        try:
            os.link(packing, self.path)
        except FileExistsError as error:
            if self.path.samefile(packing):
                return  # a network file system repeated a request that had been granted
            if not verify_shard(self.path):
                raise LeaseLostError(
                    f"{self.path}: another process has sealed it in the meantime"
                ) from error
            packing.replace(self.path)


class Failure(NamedTuple):
    """How a video has failed so far."""

    reason: str
    attempts: int


class _Held(NamedTuple):
    lease: Lease
    journal: Journal
