"""A root of HowTo100M's size without its videos: ledgers, plans and sealed shards of no rows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from extractors.corpus import claim_resize_rule
from extractors.plan import extend_plan
from extractors.resize import ResizeConfig
from mcn.data.failure_class import FailureClass
from mcn.data.ledger import LedgerFile, Outcome
from mcn.data.ledger_columns import leave_columns
from mcn.data.manifest import Video, write_manifest
from mcn.data.stores import Features
from mcn.root import Root
from mcn.store.fingerprint import Fingerprint
from mcn.store.journal import Entry, Journal
from mcn.store.pack import pack
from mcn.store.plan import ShardPlan

NUM_VIDEOS = 898_096
VIDEOS_PER_SHARD = 1000
SECONDS, FRAMES = 390.0, 11_700
NOT_DONE: dict[FailureClass, str] = {
    "permanent": "truncated",
    "transient": "network",
    "poison": "hung",
}
DONE = Outcome(
    video_id="", status="done", seconds=SECONDS, num_frames=FRAMES, completeness=1.0, attempts=1
)


def make_root(root: Root, *, num_videos: int) -> None:
    """All downloaded and resized, the first half extracted; two in a hundred failed each time."""
    ids = [f"{number:011x}" for number in range(num_videos)]
    write_manifest(root.manifest, (Video(v, "", "", SECONDS, FRAMES) for v in ids))
    claim_resize_rule(root, ResizeConfig())
    costs = dict.fromkeys(ids, float(FRAMES))
    plan = extend_plan(root.plans / "download.csv", costs, videos_per_shard=VIDEOS_PER_SHARD)
    for step in ("resize", "video", "audio"):
        extend_plan(root.plans / f"{step}.csv", costs, videos_per_shard=VIDEOS_PER_SHARD)
    for index, shard in enumerate(plan):
        outcomes = [_outcome(number, video_id) for number, video_id in enumerate(shard)]
        lines = "".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes)
        for step in ("download", "resize"):
            ledger = LedgerFile(root.ledger / step / f"{index:05d}.jsonl")
            ledger.path.parent.mkdir(parents=True, exist_ok=True)
            ledger.path.write_text(lines)
            leave_columns(ledger)
    root.raw.mkdir()
    features = Features()
    for name in (features.audio, features.video):
        (root.store / name).mkdir(parents=True)
        fingerprint = Fingerprint(name, "0" * 64, 4, 1.0, {"version": 1})
        with TemporaryDirectory(dir=root.path) as journals:
            for index, shard in enumerate(plan[: len(plan) // 2]):
                journal = Path(journals) / f"{index:05d}"
                _write_shard(root.store / name / f"{index:05d}.h5", journal, shard, fingerprint)


def _outcome(number: int, video_id: str) -> Outcome:
    if number % 50:
        return replace(DONE, video_id=video_id)
    kind, reason = list(NOT_DONE.items())[number // 50 % 3]
    return Outcome(video_id=video_id, status="failed", reason=reason, kind=kind, attempts=2)


def _write_shard(
    path: Path, journal_path: Path, video_ids: Sequence[str], fingerprint: Fingerprint
) -> None:
    """A shard whose videos have no rows: what is said of them is all that is read."""
    plan = ShardPlan(video_ids, fingerprint)
    journal = Journal(journal_path, plan)
    for number, video_id in enumerate(video_ids):
        is_done = number % 50 > 0
        journal.entries[video_id] = Entry(
            video_id=video_id,
            status="done" if is_done else "failed",
            reason="" if is_done else "no-audio",
            completeness=1.0,
            num_rows=0,
            num_spans=None,
            features_crc32c=0,
            provenance={},
            data_offset=0,
        )
    pack(journal, plan, path)
    journal.close()
