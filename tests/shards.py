"""Small shards for tests of the store; as a program, writes one of them slowly enough to be killed.

python -m tests.shards write PATH                 appends what is missing and seals
python -m tests.shards compete PATH SECONDS       the same at leisure; says what came of it
python -m tests.shards hold PATH SECONDS          begins the shard and waits to be killed
python -m tests.shards hold-elsewhere PATH SECONDS    the same, as if on another machine
python -m tests.shards hold-and-fork PATH         the same here, with a child that lives on

SECONDS is the period of the lease.
"""

import dataclasses
import os
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mcn.store.fingerprint import Fingerprint
from mcn.store.holder import Holder
from mcn.store.lease import LeaseError
from mcn.store.record import SPAN, Record
from mcn.store.writer import ShardWriter

RENEWED = 12.0
"""Seconds of a lease whose renewal a test waits for, which is due after a sixth of them: a holder
may be late by most of the rest."""

DIM = 4
VIDEO = Fingerprint("resnet152", "0" * 64, DIM, 1.0, {"short_side": 224, "version": 1})
TEXT = Fingerprint("word2vec", "1" * 64, DIM, None, {"lower": 1})
PROVENANCE: dict[str, str | int | float] = {"device": "cpu", "threads": 2}
KILLED_IDS = [f"video{number:03d}" for number in range(60)]


def done(
    video_id: str, *, num_rows: int = 3, with_spans: bool = False, num_errors: int = 0
) -> Record:
    """A record whose features are decided by the id; spans hold all, none and the rest of rows."""
    generator = np.random.default_rng(zlib.crc32(video_id.encode()))
    features = generator.normal(size=(num_rows, DIM)).astype(np.float16)
    spans = None
    if with_spans:
        first = num_rows // 2
        spans = np.array([(0.5, 2, first), (2, 2.5, 0), (2.5, 9, num_rows - first)], SPAN)
    return Record(video_id, "done", "", 1.0, features, spans, num_errors)


def failed(video_id: str, reason: str = "truncated") -> Record:
    """A record of a video that could not be read."""
    return Record(video_id, "failed", reason, 0.25, np.zeros((0, DIM), np.float16))


def writer(path: Path, video_ids: list[str], **changes: Any) -> ShardWriter:
    """A writer of video features unless told otherwise."""
    arguments: dict[str, Any] = {"fingerprint": VIDEO, "provenance": PROVENANCE} | changes
    return ShardWriter(path, video_ids=video_ids, **arguments)


def write_shard(path: Path, records: list[Record], **changes: Any) -> Path:
    """A sealed shard planned for just these records."""
    with writer(path, [record.video_id for record in records], **changes) as shard:
        for record in records:
            shard.append(record)
        return shard.seal()


def elsewhere(owner: str = "") -> Holder:
    """This process, as others would see it if it ran on another machine."""
    here = Holder.here()
    return dataclasses.replace(here, host="node7", machine="another machine", owner=owner)


def append_missing(shard: ShardWriter, *, pause_seconds: float = 0) -> None:
    """All sorts of records, those of KILLED_IDS that are still missing."""
    for number, video_id in enumerate(KILLED_IDS):
        if video_id not in shard.done:
            bad = number % 7 == 3
            shard.append(failed(video_id) if bad else done(video_id, num_rows=50 * number))
            time.sleep(pause_seconds)


def write_to_be_killed(path: Path) -> None:
    """Writes a shard, or what is still missing of it."""
    with writer(path, KILLED_IDS) as shard:
        append_missing(shard)
        shard.seal()


def compete(path: Path, lease_seconds: float) -> None:
    """Writes the shard unless another does; prints `sealed`, `nothing to do` or what it met."""
    try:
        with writer(path, KILLED_IDS, lease_seconds=lease_seconds) as shard:
            append_missing(shard, pause_seconds=0.02)
            was_there = path.exists()
            shard.seal()
            print("nothing to do" if was_there else "sealed")
    except LeaseError as refusal:
        print(type(refusal).__name__)


def hold(path: Path, **changes: Any) -> None:
    """Begins the shard and waits."""
    with writer(path, ["a"], **changes):
        print("ready", flush=True)
        time.sleep(60)


def hold_and_fork(path: Path) -> None:
    """Begins the shard, forks a child that outlives this process, and waits."""
    with writer(path, ["a"]):
        if not os.fork():
            print(os.getpid(), flush=True)
            time.sleep(60)
            os._exit(0)
        time.sleep(60)


def main(task: str, path: Path, *seconds: str) -> None:
    """Do what the command line asks for."""
    if task == "write":
        print("ready", flush=True)
        write_to_be_killed(path)
    elif task == "compete":
        compete(path, float(*seconds))
    elif task == "hold-and-fork":
        hold_and_fork(path)
    else:
        changes = {"holder": elsewhere()} if task == "hold-elsewhere" else {}
        hold(path, lease_seconds=float(*seconds), **changes)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
