"""What became of each video in a step that leaves no shard behind: one file of lines per shard."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from mcn.data.failure_class import FailureClass, Retry, class_of, is_due
from mcn.store.layout import NOT_COUNTED


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step did with one video."""

    video_id: str
    status: str
    """`done` or `failed`."""
    reason: str = ""
    """Why it failed, in one word."""
    detail: str = ""
    """Why it failed, in a sentence."""
    seconds: float = 0.0
    num_frames: int = 0
    has_audio: bool = False
    completeness: float = 0.0
    """Share of what the file promised that could be read."""
    num_errors: int = NOT_COUNTED
    """Places at which the file was damaged, as far as the decoder said so; -1 where they were not
    counted, as in what was written before they were."""
    kind: FailureClass | Literal[""] = ""
    """Of a failure: its class; empty in what was written before there were any."""
    attempts: int = 0
    """How often it was tried, where that is counted."""
    is_source_deleted: bool = False
    """Whether the file that it was made of was deleted on request."""

    @property
    def failure(self) -> FailureClass | None:
        """The class of its failure; None where it did not fail."""
        return None if self.status == "done" else self.kind or class_of(self.reason)


def is_left(outcome: Outcome | None, retry: Retry | None) -> bool:
    """Whether a video is still to be done, where a user asks for those failures again."""
    if outcome is None:
        return True
    failure = outcome.failure
    return failure is not None and is_due(failure, outcome.attempts, retry)


class Lines(NamedTuple):
    """Lines of a ledger file."""

    outcomes: list[Outcome]
    """In the order of the lines: of several with the same video the last one counts."""
    damaged: list[int]
    """The bytes at which lines begin that hold no outcome."""
    stop: int
    """The byte behind the last whole line."""


class LedgerFile:
    """The outcomes of one shard; each line goes to the disk.

    Who appends holds the lease beside it (mcn/store/lease.py).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Outcome]:
        """The newest outcome of each video; a damaged line is as if never written."""
        return {outcome.video_id: outcome for outcome in self.read_lines().outcomes}

    def read_lines(self, first_byte: int = 0) -> Lines:
        """What has been written from this byte on, which begins a line; nothing without a file."""
        if not self.path.exists():
            return Lines([], [], first_byte)
        with self.path.open("rb") as file:
            file.seek(first_byte)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]  # a kill may have cut off the last line
        lines = Lines([], [], first_byte + len(whole))
        place = first_byte
        for line in whole.splitlines(keepends=True):
            try:
                lines.outcomes.append(Outcome(**json.loads(line)))
            except (ValueError, TypeError):
                lines.damaged.append(place)
            place += len(line)
        return lines

    def append(self, outcome: Outcome) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            # A line cut off by a kill would otherwise spoil the one that follows it.
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._drop_torn_line()
            file.write(json.dumps(asdict(outcome)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _drop_torn_line(self) -> None:
        content = self.path.read_bytes()
        os.truncate(self.path, content.rfind(b"\n") + 1)


def read_ledger(folder: Path) -> dict[str, Outcome]:
    """The outcomes of all shards of one step."""
    files: Iterable[Path] = sorted(folder.glob("*.jsonl")) if folder.exists() else []
    return {k: v for path in files for k, v in LedgerFile(path).read().items()}
