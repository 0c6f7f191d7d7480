"""A shard under construction: files beside its later place, each with the token of its writer.

    00042.lease/      whose turn it is (lease.py); there for as long as anything of this is
    00042.7.journal   the records (journal.py); 7 is the token
    00042.7.copying   the records of an earlier journal, until they are all there
    00042.7.packing   the shard to be, until it has been verified

A writer makes and changes files with its own token only, and removes none but those of earlier
ones. So the journal with the highest token always holds all records that count, and a writer that
was fenced off can do no harm at any moment, even before it notices.
"""

import os
import shutil
from pathlib import Path

from mcn.store.layout import is_sealed
from mcn.store.lease import Lease
from mcn.store.rawio import fsync_folder, is_gone

JOURNAL_SUFFIX = ".journal"
COPYING_SUFFIX = ".copying"
PACKING_SUFFIX = ".packing"
_SUFFIXES = (JOURNAL_SUFFIX, COPYING_SUFFIX, PACKING_SUFFIX)


def packing_path(shard: Path, token: int) -> Path:
    """Where the writer with this token packs the shard."""
    return _path(shard, token, PACKING_SUFFIX)


def newest_token(shard: Path) -> int:
    """The highest token of a shard's files; 0 if there are none."""
    return max((token for token, _ in _files(shard)), default=0)


def newest_journals(folder: Path) -> list[Path]:
    """The journal of each shard that has any, by name."""
    newest: dict[str, tuple[int, Path]] = {}
    for path in folder.glob(f"*.*{JOURNAL_SUFFIX}"):
        name, token, _ = path.name.rsplit(".", 2)
        if token.isdigit():
            newest[name] = max(newest.get(name, (0, path)), (int(token), path))
    return [newest[name][1] for name in sorted(newest)]


def shard_name(journal: Path) -> str:
    """The file name of a journal's shard, without suffix."""
    return journal.name.rsplit(".", 2)[0]


def take_over_journal(shard: Path, lease: Lease) -> Path:
    """The journal of the lease's token, which has all that earlier ones have.

    The journal of a writer that has certainly ended is renamed. Another is copied, since its
    writer may still hold it open: what that one writes late is not in the copy.

    Raises:
        LeaseLostError: If another process has taken the shard over.
    """
    ours = _path(shard, lease.token, JOURNAL_SUFFIX)
    while journals := [found for found in _earlier(shard, lease) if _is_journal(found[1])]:
        token, newest = max(journals)
        try:
            if token == lease.token - 1 and lease.predecessor_ended:
                newest.rename(ours)
            else:
                _copy(newest, ours, lease)
            break
        except OSError as error:
            lease.check()
            if not is_gone(error):
                raise
            # One that has been fenced off gave it its own token, just before it noticed.
    for _, path in _earlier(shard, lease):
        path.unlink(missing_ok=True)
    return ours


def let_go(shard: Path, lease: Lease) -> None:
    """Leaves the shard to the next writer; if another has sealed it, what came too late goes."""
    lease.release()
    if is_sealed(shard):
        for token, path in _files(shard):
            if token == lease.token:
                path.unlink(missing_ok=True)


def clear_away(shard: Path, lease: Lease) -> None:
    """Removes all that was needed to make a shard, when it is sealed."""
    for _, path in _files(shard):
        path.unlink(missing_ok=True)
    fsync_folder(shard.parent)
    lease.dissolve()


def _copy(journal: Path, ours: Path, lease: Lease) -> None:
    aside = ours.with_suffix(COPYING_SUFFIX)
    try:
        shutil.copyfile(journal, aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        lease.check()
        aside.rename(ours)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    fsync_folder(ours.parent)  # before any other copy of the records goes


def _path(shard: Path, token: int, suffix: str) -> Path:
    return shard.with_suffix(f".{token}{suffix}")


def _is_journal(path: Path) -> bool:
    return path.suffix == JOURNAL_SUFFIX


def _earlier(shard: Path, lease: Lease) -> list[tuple[int, Path]]:
    return [(token, path) for token, path in _files(shard) if token < lease.token]


def _files(shard: Path) -> list[tuple[int, Path]]:
    """Token and path of all files of a shard under construction."""
    files = []
    for path in shard.parent.iterdir():
        name, *rest = path.name.rsplit(".", 2)
        if name == shard.stem and len(rest) == 2 and rest[0].isdigit() and path.suffix in _SUFFIXES:
            files.append((int(rest[0]), path))
    return files
