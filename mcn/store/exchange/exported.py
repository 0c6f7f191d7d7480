"""What an export says of itself, so that it can come back to the byte.

    export.json    fingerprint of all, and the layout; there before anything else
    00042.jsonl    shard 42 has been exported: its label's checksum, and a line for each record
    <name>.npy     in layout npy, features of a video; <name>.spans.npy for text
    words/         of a text store, the table that its numbers of words refer to
    00042.tar      in layout webdataset, all videos of the shard that are done

A name is the id, with what file systems or WebDataset would misread (/, dots, blanks) as %2F.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from numpy.typing import NDArray

from mcn.store.aside import PART_SUFFIX, written_aside
from mcn.store.checksum import crc32c
from mcn.store.exchange.array_file import UnusableFileError, read_array, read_rows
from mcn.store.exchange.importing import failed_record
from mcn.store.fingerprint import Fingerprint
from mcn.store.layout import LEASE_SUFFIX, NOT_COUNTED, canonical_json
from mcn.store.record import SPAN, Record
from mcn.store.stored_records import StoredRecord
from mcn.store.writer import ShardWriter

Layout = Literal["npy", "webdataset"]

EXPORT_FILE = "export.json"
SHARD_SUFFIX = ".jsonl"
_FORMAT = "mcn-export-1"
_OWN = (LEASE_SUFFIX, PART_SUFFIX)


def array_name(video_id: str) -> str:
    """The id as a file name without suffix, and as WebDataset's key, which ends at a dot."""
    return quote(video_id, safe="").replace(".", "%2E")


@dataclass(frozen=True)
class ExportFolder:
    """A folder that a store was exported to."""

    path: Path
    layout: Layout
    fingerprint: Fingerprint

    @classmethod
    def read(cls, path: Path) -> "ExportFolder | None":
        """None if the folder is no export of a store."""
        try:
            found = json.loads((path / EXPORT_FILE).read_text())
        except FileNotFoundError:
            return None
        if found.get("format") != _FORMAT:
            raise ValueError(f"{path / EXPORT_FILE} is of another format than {_FORMAT}")
        return cls(path, found["layout"], Fingerprint(**found["fingerprint"]))

    def begin(self) -> None:
        """Makes the folder an export, or carries on with one.

        Raises:
            ValueError: It holds something else, or an export of other features.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        found = ExportFolder.read(self.path)
        if found is None and any(path.suffix not in _OWN for path in self.path.iterdir()):
            raise ValueError(f"{self.path} holds other files; export to a folder of its own")
        if found is not None and found != self:
            raise ValueError(
                f"{self.path} holds an export of other features or in another layout; "
                "export to a folder of its own"
            )
        if found is None:
            about = {
                "format": _FORMAT,
                "layout": self.layout,
                "fingerprint": json.loads(self.fingerprint.to_json()),
            }
            with written_aside(self.path / EXPORT_FILE) as file:
                file.write(canonical_json(about).encode() + b"\n")

    def shards(self) -> list[Path]:
        """The descriptions of all shards that have been exported."""
        return sorted(self.path.glob(f"*{SHARD_SUFFIX}"))

    def shard_path(self, shard: str) -> Path:
        """Where the description of a shard is, once it has been exported."""
        return self.path / f"{shard}{SHARD_SUFFIX}"

    def has(self, shard: str, label_crc32c: int) -> bool:
        """Whether just this shard has been exported."""
        path = self.shard_path(shard)
        if not path.exists():
            return False
        with path.open() as file:
            return bool(json.loads(file.readline())["label_crc32c"] == label_crc32c)


def describe(stored: StoredRecord) -> dict[str, Any]:
    """The line of a record: all of it but its arrays, whose checksums are there."""
    record = stored.record
    return {
        "video_id": record.video_id,
        "status": record.status,
        "reason": record.reason,
        "completeness": record.completeness,
        "num_errors": record.num_errors,
        "features_crc32c": crc32c(record.features),
        "spans_crc32c": None if record.spans is None else crc32c(record.spans),
        "provenance": stored.provenance,
    }


def import_exported_shard(path: Path, export: ExportFolder, shard: Path) -> None:
    """The sealed shard at `path`, as it was when it was exported; carries on where a try left off.

    A file that is not what was exported becomes a failure with a reason.
    """
    if export.layout != "npy":
        raise ValueError(f"{export.path} is in layout {export.layout}; only npy can be imported")
    with shard.open() as file:
        lines = [json.loads(line) for line in file][1:]
    ids = [line["video_id"] for line in lines]
    with ShardWriter(path, video_ids=ids, fingerprint=export.fingerprint, provenance={}) as writer:
        missing = [line for line in lines if line["video_id"] not in writer.done]
        for line in missing:
            try:
                record = _record(line, export)
            except UnusableFileError as unusable:
                record = failed_record(line["video_id"], str(unusable), export.fingerprint)
            writer.append(record, line["provenance"])
        writer.seal()


def _record(line: dict[str, Any], export: ExportFolder) -> Record:
    video_id, fingerprint = line["video_id"], export.fingerprint
    num_errors = line.get("num_errors", NOT_COUNTED)  # which earlier exports do not have
    if line["status"] == "failed":
        record = failed_record(video_id, line["reason"], fingerprint)
        return replace(record, completeness=line["completeness"], num_errors=num_errors)
    path = export.path / f"{array_name(video_id)}.npy"
    spans_path = path.with_suffix(".spans.npy")
    if not (path.is_file() and (line["spans_crc32c"] is None or spans_path.is_file())):
        raise UnusableFileError("missing")
    features = _features(path, fingerprint)
    spans = None if line["spans_crc32c"] is None else read_array(spans_path, SPAN)
    found = crc32c(features), None if spans is None else crc32c(spans)
    if found != (line["features_crc32c"], line["spans_crc32c"]):
        raise UnusableFileError("changed-since-export")
    return Record(video_id, "done", "", line["completeness"], features, spans, num_errors)


def _features(path: Path, fingerprint: Fingerprint) -> NDArray[Any]:
    if fingerprint.row_type == "float16":
        return read_rows(path, dim=fingerprint.dim)
    numbers = read_array(path, fingerprint.row_dtype)
    if numbers.ndim != 2 or numbers.shape[1] != fingerprint.dim:
        raise UnusableFileError("wrong-shape")
    return numbers
