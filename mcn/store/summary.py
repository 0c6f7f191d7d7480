"""What the store holds, sealed and under construction; reads descriptions, not features."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mcn.store.construction import JOURNAL_SUFFIX, newest_journals, shard_name
from mcn.store.fingerprint import Fingerprint
from mcn.store.ids import Ids, are_in
from mcn.store.journal import peek
from mcn.store.layout import canonical_json
from mcn.store.shard import open_shard, shard_paths


@dataclass
class Summary:
    """Counts over some shards, usually those of one modality."""

    sealed: int = 0
    under_construction: int = 0
    records_under_construction: int = 0
    planned: int = 0
    """Videos, each once, whether they have a record yet or not."""
    done: int = 0
    failed: int = 0
    """Videos that are done nowhere, however often they were tried."""
    damaged: int = 0
    """Videos that are done though a part is missing, or decoders found them damaged."""
    rows: int = 0
    size_bytes: int = 0
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    """By digest. Readers want one; more than one is for `mixed=True`."""
    provenances: Counter[str] = field(default_factory=Counter)
    """Number of records by what made them, as JSON."""
    unreadable: list[str] = field(default_factory=list)
    """A sentence for each file that could not be read, with the way out."""


def modality_folders(store: Path) -> list[Path]:
    """The folders of a store that hold shards, sealed or begun."""
    folders = sorted(path for path in store.glob("*") if path.is_dir())
    return [folder for folder in folders if shard_files(folder)]


def shard_files(folder: Path) -> list[Path]:
    """One file a shard: the sealed one, or its journal where it is not sealed."""
    sealed = shard_paths(folder)
    names = {path.stem for path in sealed}
    return sealed + [path for path in newest_journals(folder) if shard_name(path) not in names]


def summarise(files: Iterable[Path]) -> Summary:
    """Counts over shards and journals; a file that cannot be read is among `unreadable`."""
    summary, planned, done, failed = Summary(), [_NOBODY], [_NOBODY], [_NOBODY]
    damaged = [_NOBODY]
    for path in files:
        try:
            is_journal = path.suffix == JOURNAL_SUFFIX
            videos = _add_journal(summary, path) if is_journal else _add_sealed(summary, path)
        except (OSError, ValueError) as error:
            summary.unreadable.append(str(error))
            continue
        planned.append(videos.planned)
        done.append(videos.done)
        failed.append(videos.failed)
        damaged.append(videos.damaged)
    # What is tried again has a record in several shards.
    all_done, all_failed = np.unique(np.concatenate(done)), np.unique(np.concatenate(failed))
    summary.planned = len(np.unique(np.concatenate(planned)))
    summary.done = len(all_done)
    summary.damaged = len(np.unique(np.concatenate(damaged)))
    summary.failed = int((~are_in(all_failed, all_done)).sum())
    return summary


class _Videos(NamedTuple):
    """Of one file."""

    planned: Ids
    done: Ids
    failed: Ids
    damaged: Ids


_NOBODY: Ids = np.empty(0, "S1")


def _add_sealed(summary: Summary, path: Path) -> _Videos:
    shard = open_shard(path)
    index = shard.index
    fingerprint = shard.fingerprint()
    summary.sealed += 1
    summary.rows += int(index["num_rows"].sum())
    summary.size_bytes += shard.size_bytes
    summary.fingerprints[fingerprint.digest()] = fingerprint
    for place, provenance in enumerate(shard.provenances()):
        summary.provenances[canonical_json(provenance)] += int((index["provenance"] == place).sum())
    ids, is_done = index["video_id"], index["status"] == b"done"
    is_damaged = is_done & ((index["completeness"] < 1) | (index["num_errors"] > 0))
    return _Videos(ids, ids[is_done], ids[~is_done], ids[is_damaged])


def _add_journal(summary: Summary, path: Path) -> _Videos:
    plan, entries = peek(path)
    summary.under_construction += 1
    summary.records_under_construction += len(entries)
    summary.rows += sum(entry.num_rows for entry in entries)
    summary.size_bytes += path.stat().st_size
    summary.fingerprints[plan.fingerprint.digest()] = plan.fingerprint
    summary.provenances.update(canonical_json(entry.provenance) for entry in entries)
    return _Videos(
        _ids(plan.video_ids),
        _ids(entry.video_id for entry in entries if entry.status == "done"),
        _ids(entry.video_id for entry in entries if entry.status == "failed"),
        _ids(
            entry.video_id
            for entry in entries
            if entry.status == "done" and (entry.completeness < 1 or entry.num_errors > 0)
        ),
    )


def _ids(video_ids: Iterable[str]) -> Ids:
    return np.array([video_id.encode() for video_id in video_ids], "S")
