"""Writes one shard: record by record into a journal, at the end into one HDF5 file.

The steps of sealing are such that a crash between any two of them is mended by running again:
pack aside, fsync, verify by reading all of it, rename, fsync the folder, delete the journal. A
sealed file beside a journal is a crash after the renaming, and an unfinished packing is begun anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from mcn.store.fingerprint import Fingerprint
from mcn.store.journal import Journal
from mcn.store.layout import journal_path, packing_path
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
    ) -> None:
        """Begins the shard `path`, or carries on with it.

        Args:
            path: The file to be, `.../00042.h5`; its folder is made if missing.
            video_ids: The planned videos, in the order of their rows.
            fingerprint: What must be equal for all features of a store.
            provenance: What made the records of this writer; kept with each of them.

        Raises:
            ShardBusyError: If another process writes the shard.
            ValueError: If it was begun for other videos or with another fingerprint.
        """
        self.path = path
        self.plan = ShardPlan(tuple(video_ids), fingerprint)
        self.provenance = dict(provenance)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._planned = frozenset(video_ids)
        self._journal: Journal | None = None
        if path.exists() and not journal_path(path).exists():
            self.plan.check_same(open_shard(path).plan(), path)
        else:
            self._journal = Journal(journal_path(path), self.plan)
            self._finish_interrupted_seal(self._journal)

    @property
    def done(self) -> set[str]:
        """Videos that have a record, be they done or failed."""
        return set(self._planned if self._journal is None else self._journal.entries)

    @property
    def dropped_bytes(self) -> int:
        """What a crash or a bad disk had spoilt of the journal, cut off at opening."""
        return 0 if self._journal is None else self._journal.dropped_bytes

    def append(self, record: Record) -> None:
        """Adds one video's record, on disk when this returns.

        Raises:
            ValueError: If the video is not planned or has a record, or if the record is not sound.
        """
        if record.video_id not in self._planned:
            raise ValueError(f"video {record.video_id!r} is not planned for {self.path}")
        if self._journal is None or record.video_id in self._journal.entries:
            raise ValueError(f"video {record.video_id!r} already has a record in {self.path}")
        check_record(record, self.plan.fingerprint)
        self._journal.append(record, self.provenance)

    def seal(self) -> Path:
        """Packs the shard and puts it in its place; on a sealed shard it does nothing.

        Needs the room of the shard a second time until the journal is deleted.

        Raises:
            ValueError: If a planned video has no record.
            OSError: If the packed file does not read back as it was written.
        """
        if self._journal is None:
            return self.path
        done = self.done
        missing = [video_id for video_id in self.plan.video_ids if video_id not in done]
        if missing:
            raise ValueError(
                f"{self.path}: {len(missing)} of {len(self.plan.video_ids)} planned videos have "
                f"no record, {missing[0]!r} first; append theirs before sealing"
            )
        packing = packing_path(self.path)
        try:
            pack(self._journal, self.plan, packing)
            problems = verify_shard(packing)
            if problems:
                raise OSError(
                    f"{packing}: does not read back as it was written ({problems[0]}); "
                    "check the disk and run again, the journal is kept"
                )
            packing.replace(self.path)
        except BaseException:
            packing.unlink(missing_ok=True)
            raise
        fsync_folder(self.path.parent)
        self._drop_journal(self._journal)
        return self.path

    def close(self) -> None:
        """Lets go of the shard; what has been appended stays for the next writer."""
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _finish_interrupted_seal(self, journal: Journal) -> None:
        """Deletes the journal where a crash fell between renaming the shard and deleting it."""
        try:
            if self.path.exists() and not verify_shard(self.path):
                self.plan.check_same(open_shard(self.path).plan(), self.path)
                self._drop_journal(journal)
        except BaseException:
            journal.close()
            raise

    def _drop_journal(self, journal: Journal) -> None:
        journal.remove()
        self._journal = None
