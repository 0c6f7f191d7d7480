"""What the store holds, sealed and under construction; reads descriptions, not features."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mcn.store.construction import JOURNAL_SUFFIX, newest_journals, shard_name
from mcn.store.fingerprint import Fingerprint
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
    """Videos, whether they have a record yet or not."""
    done: int = 0
    failed: int = 0
    rows: int = 0
    size_bytes: int = 0
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    """By digest. Readers want one; more than one is for `mixed=True`."""
    provenances: Counter[str] = field(default_factory=Counter)
    """Number of videos by what made them, as JSON."""
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
    summary = Summary()
    for path in files:
        try:
            if path.suffix == JOURNAL_SUFFIX:
                _add_journal(summary, path)
            else:
                _add_sealed(summary, path)
        except (OSError, ValueError) as error:
            summary.unreadable.append(str(error))
    return summary


def _add_sealed(summary: Summary, path: Path) -> None:
    shard = open_shard(path)
    index = shard.index
    fingerprint = shard.fingerprint()
    summary.sealed += 1
    summary.planned += len(index)
    summary.done += int((index["status"] == b"done").sum())
    summary.failed += int((index["status"] == b"failed").sum())
    summary.rows += int(index["num_rows"].sum())
    summary.size_bytes += shard.size_bytes
    summary.fingerprints[fingerprint.digest()] = fingerprint
    for place, provenance in enumerate(shard.provenances()):
        summary.provenances[canonical_json(provenance)] += int((index["provenance"] == place).sum())


def _add_journal(summary: Summary, path: Path) -> None:
    plan, entries = peek(path)
    failed = sum(entry.status == "failed" for entry in entries)
    summary.under_construction += 1
    summary.records_under_construction += len(entries)
    summary.planned += len(plan.video_ids)
    summary.done += len(entries) - failed
    summary.failed += failed
    summary.rows += sum(entry.num_rows for entry in entries)
    summary.size_bytes += path.stat().st_size
    summary.fingerprints[plan.fingerprint.digest()] = plan.fingerprint
    summary.provenances.update(canonical_json(entry.provenance) for entry in entries)
