"""A store as one .npy a video, or as tar files that WebDataset reads; carries on after a kill."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcn.progress import Progress
from mcn.store.aside import written_aside
from mcn.store.exchange.exported import ExportFolder, Layout, array_name, describe
from mcn.store.fingerprint import Fingerprint
from mcn.store.holder import Holder
from mcn.store.layout import canonical_json, lease_folder
from mcn.store.lease import acquire
from mcn.store.shard import SealedShard, open_shard, shard_paths
from mcn.store.stored_records import Description, StoredRecord, all_records
from mcn.store.word_table import WordTable, copy_word_table

TAR_SUFFIX = ".tar"


def export_store(store: Path, folder: Path, layout: Layout, *, is_shown: bool = True) -> None:
    """All sealed shards of a modality in `folder`, which has nothing else.

    A shard that has been exported is not exported again. Failures have a line and no file.

    Raises:
        ValueError: `folder` has something else, shards are damaged or made differently.
        ShardBusyError: Another process exports to the same folder.
    """
    shards = [open_shard(path) for path in shard_paths(store)]
    export = ExportFolder(folder, layout, _only_fingerprint(store, shards))
    folder.mkdir(parents=True, exist_ok=True)
    with acquire(lease_folder(folder / "export"), Holder.here()) as lease:
        export.begin()
        if export.fingerprint.row_type == "int32":
            copy_word_table(WordTable.below(store.parent, export.fingerprint), folder)
        _remove_what_left(export, {shard.path.stem for shard in shards})
        total = sum(len(shard.index) for shard in shards)
        with Progress("export", total=total, unit="videos", is_shown=is_shown) as progress:
            for shard in shards:
                if export.has(shard.path.stem, shard.label_crc32c):
                    progress.skip(len(shard.index))
                else:
                    _export_shard(shard, export, progress)
        lease.dissolve()


def _only_fingerprint(store: Path, shards: list[SealedShard]) -> Fingerprint:
    found = {shard.label.fingerprint_digest: shard for shard in shards}
    if len(found) != 1:
        what = "shards that were made differently" if found else "no sealed shards"
        raise ValueError(f"{store} holds {what}; `python jobs/store.py inspect` shows them")
    (shard,) = found.values()
    return shard.fingerprint()


def _remove_what_left(export: ExportFolder, names: set[str]) -> None:
    """Removes what says of a shard that is in the store no more that it had been exported."""
    for path in export.shards():
        if path.stem not in names:
            path.unlink()
            path.with_suffix(TAR_SUFFIX).unlink(missing_ok=True)


def _export_shard(shard: SealedShard, export: ExportFolder, progress: Progress) -> None:
    name, stored = shard.path.stem, all_records(Description.of(shard))
    write = _write_npy if export.layout == "npy" else _write_tar
    lines: list[dict[str, Any]] = [{"shard": name, "label_crc32c": shard.label_crc32c}]
    for line in write(export, name, stored):
        lines.append(line)
        progress.advance()
    with written_aside(export.shard_path(name)) as file:
        file.writelines(canonical_json(line).encode() + b"\n" for line in lines)


def _write_npy(
    export: ExportFolder, shard: str, records: Iterator[StoredRecord]
) -> Iterator[dict[str, Any]]:
    for stored in records:
        for suffix, content in _arrays(stored):
            path = export.path / f"{array_name(stored.record.video_id)}{suffix}"
            with written_aside(path) as file:
                file.write(content)
        yield describe(stored)


def _write_tar(
    export: ExportFolder, shard: str, records: Iterator[StoredRecord]
) -> Iterator[dict[str, Any]]:
    with (
        written_aside(export.path / f"{shard}{TAR_SUFFIX}") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for stored in records:
            line = describe(stored)
            members = _arrays(stored)
            if members:
                about = line | {"rows_per_second": export.fingerprint.rows_per_second}
                members.append((".json", canonical_json(about).encode()))
            for suffix, content in members:
                # No time and no owner: equal features are equal bytes.
                info = tarfile.TarInfo(f"{array_name(stored.record.video_id)}{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            yield line


def _arrays(stored: StoredRecord) -> list[tuple[str, bytes]]:
    """The files of a video by suffix; none where it failed."""
    record = stored.record
    if record.status == "failed":
        return []
    arrays = [(".npy", _npy(record.features))]
    if record.spans is not None:
        arrays.append((".spans.npy", _npy(record.spans)))
    return arrays


def _npy(array: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, array, allow_pickle=False)
    return content.getvalue()
