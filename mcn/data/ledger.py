"""What became of each video in a step that leaves no shard behind: one file of lines per shard."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FAILED = b'"failed"'


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
    kind: str = ""
    """Of a failure: `permanent`, or `transient` where another try may help; empty where unknown."""
    attempts: int = 0
    """How often it was tried, where that is counted."""


class LedgerFile:
    """The outcomes of one shard; each line goes to the disk.

    Who appends holds the lease beside it (mcn/store/lease.py).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Outcome]:
        """The newest outcome of each video; a line that a kill cut off is as if never written."""
        if not self.path.exists():
            return {}
        text = self.path.read_text()
        whole = text[: text.rfind("\n") + 1]
        outcomes = (Outcome(**json.loads(line)) for line in whole.splitlines())
        return {outcome.video_id: outcome for outcome in outcomes}

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


def failures_by_reason(folder: Path) -> Counter[str]:
    """How many videos of a step have failed for which reason; the newest outcome of each counts.

    As `read_ledger` says it, some ten times faster: only lines of failures are parsed.
    """
    reasons: Counter[str] = Counter()
    for path in folder.glob("*.jsonl"):
        content = path.read_bytes()
        lines = content[: content.rfind(b"\n") + 1].splitlines()
        # A line begins with the video's id; of several with the same the last one stays.
        newest = {line.partition(b'",')[0]: line for line in lines}
        failed = (json.loads(line) for line in newest.values() if FAILED in line)
        reasons.update(outcome["reason"] for outcome in failed if outcome["status"] == "failed")
    return reasons
