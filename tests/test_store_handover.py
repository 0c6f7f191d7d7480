"""A shard that changes hands, of its own accord or against the will of the one who writes it."""

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcn.store.holder import Holder
from mcn.store.lease import LeaseError, LeaseLostError
from mcn.store.reader import FeatureStore
from mcn.store.summary import shard_files, summarise
from mcn.store.verify import verify_shard
from mcn.store.writer import ShardWriter
from tests.shards import done, elsewhere, failed, write_shard, write_to_be_killed, writer

RECORDS = [done("a"), failed("b"), done("c", num_rows=5)]
IDS = [record.video_id for record in RECORDS]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return tmp_path / "store" / "00000.h5"


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    """The bytes of the shard if it is left alone."""
    return write_shard(tmp_path / "left alone" / "00000.h5", RECORDS).read_bytes()


def append_missing(shard: ShardWriter) -> None:
    for record in RECORDS:
        if record.video_id not in shard.done:
            shard.append(record)


def write_all(path: Path, **changes: Any) -> None:
    with writer(path, IDS, **changes) as shard:
        append_missing(shard)
        shard.seal()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def owned(owner: str) -> Holder:
    """This process, with an owner."""
    return dataclasses.replace(Holder.here(), owner=owner)


def test_a_shard_that_was_let_go_is_taken_at_once(shard: Path, expected: bytes) -> None:
    with writer(shard, IDS, lease_seconds=600.0, holder=elsewhere()) as first:
        first.append(RECORDS[0])
    started = time.monotonic()
    write_all(shard)
    assert time.monotonic() - started < 20
    assert shard.read_bytes() == expected


def test_a_lease_folder_that_was_deleted_does_not_cost_what_was_journaled(
    shard: Path, expected: bytes
) -> None:
    for record in RECORDS:
        with writer(shard, IDS) as begun:
            begun.append(record)
        for path in shard.with_suffix(".lease").iterdir():
            path.unlink()
        shard.with_suffix(".lease").rmdir()
    with writer(shard, IDS) as last:
        assert last.done == set(IDS)
        last.seal()
    assert shard.read_bytes() == expected
    assert names(shard.parent) == ["00000.h5"]


def test_a_writer_that_was_overtaken_is_told_by_whom_and_loses_nothing(
    shard: Path, expected: bytes
) -> None:
    first = writer(shard, IDS, holder=elsewhere("job"))
    first.append(RECORDS[0])
    with writer(shard, IDS, holder=owned("job")) as second:
        assert second.done == {"a"}
        with pytest.raises(LeaseLostError, match=f"taken over by process {os.getpid()}"):
            first.append(RECORDS[1])
        assert second.done == {"a"}
        append_missing(second)
        second.seal()
    with pytest.raises(LeaseLostError, match="finished by another process"):
        first.append(RECORDS[2])
    with pytest.raises(LeaseLostError, match="another process"):
        first.seal()
    first.close()
    assert shard.read_bytes() == expected
    assert names(shard.parent) == ["00000.h5"]


STEPS: list[tuple[Any, str]] = [(os, "open"), (os, "pwrite"), (os, "fsync"), (os, "link")]
STEPS += [(Path, "unlink"), (Path, "rename"), (Path, "touch"), (Path, "iterdir"), (Path, "rmdir")]


@pytest.mark.parametrize("overtaker_seals", [True, False])
def test_a_writer_overtaken_at_any_system_call_does_no_harm(
    shard: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch, overtaker_seals: bool
) -> None:
    call = 0
    while True:
        with writer(shard, IDS, holder=elsewhere()) as begun:
            begun.append(RECORDS[0])
        left = [call]
        inode: list[int] = []

        def overtake(path: Path = shard, inode: list[int] = inode) -> None:
            with contextlib.suppress(LeaseError), writer(path, IDS, holder=owned("job")) as second:
                assert "a" in second.done
                if overtaker_seals:
                    append_missing(second)
                    second.seal()
            if path.exists():
                inode.append(path.stat().st_ino)

        with monkeypatch.context() as patch:
            for owner, name in STEPS:
                patch.setattr(owner, name, interrupted(getattr(owner, name), left, overtake))
            refused = False
            try:
                write_all(shard, holder=elsewhere("job"))
            except LeaseError:
                refused = True
        if left[0] >= 0:
            return  # it took fewer calls than that
        if refused and not shard.exists():
            write_all(shard)
        assert shard.read_bytes() == expected
        assert [shard.stat().st_ino] * len(inode) == inode, "a sealed shard was replaced"
        write_all(shard)
        assert names(shard.parent) == ["00000.h5"], call
        shard.unlink()
        call += 1


def interrupted(
    real: Callable[..., Any], left: list[int], interruption: Callable[[], None]
) -> Callable[..., Any]:
    """`real`; but when `left` calls of it and the like are made, something else comes first."""

    def function(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            interruption()
        return real(*arguments, **options)

    return function


def test_what_a_writer_has_under_way_when_it_is_overtaken_reaches_nobody(
    shard: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = writer(shard, IDS, holder=elsewhere("job"))
    first.append(RECORDS[0])
    pwrite = os.pwrite

    with contextlib.ExitStack() as stack, monkeypatch.context() as patch:

        def overtaken_pwrite(file: int, data: bytes, offset: int) -> int:
            patch.undo()
            second = stack.enter_context(writer(shard, IDS, holder=owned("job")))
            second.append(RECORDS[2])
            return pwrite(file, data, offset)

        patch.setattr(os, "pwrite", overtaken_pwrite)
        with pytest.raises(LeaseLostError):
            first.append(RECORDS[1])
    first.close()
    with writer(shard, IDS) as third:
        assert third.done == {"a", "c"}
        assert third.dropped_bytes == 0
        third.append(RECORDS[1])
        third.seal()
    assert shard.read_bytes() == expected


def test_a_record_costs_one_fsync(shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, calls = os.fsync, []

    def counted(descriptor: int) -> None:
        calls.append(descriptor)
        fsync(descriptor)

    with writer(shard, IDS) as begun:
        monkeypatch.setattr(os, "fsync", counted)
        append_missing(begun)
        assert len(calls) == len(RECORDS)


def test_readers_and_overviews_pass_over_a_shard_that_changes_hands(
    shard: Path, expected: bytes
) -> None:
    write_shard(shard.with_name("00001.h5"), [done("x")])
    first = writer(shard, IDS, holder=elsewhere("job"))
    first.append(RECORDS[0])
    with writer(shard, IDS, holder=owned("job")) as second:
        second.append(RECORDS[1])
        shard.with_name("00000.1.journal").write_bytes(b"late")
        assert len(FeatureStore(shard.parent)) == 1
        summary = summarise(shard_files(shard.parent))
        assert (summary.sealed, summary.under_construction) == (1, 1)
        assert summary.records_under_construction == 2
        assert summary.unreadable == []
        append_missing(second)
        second.seal()
    first.close()
    assert shard.read_bytes() == expected
    assert names(shard.parent) == ["00000.h5", "00001.h5"]


@pytest.mark.slow
def test_processes_let_loose_on_a_shard_seal_it_once_whatever_stops_them(tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed" / "00000.h5"
    write_to_be_killed(undisturbed)
    generator = random.Random(0)
    said: Counter[str] = Counter()
    for round_number in range(6):
        shard = tmp_path / str(round_number) / "00000.h5"
        round_said = compete(shard, generator)
        assert round_said["sealed"] <= 1
        said += round_said
        write_to_be_killed(shard)
        assert shard.read_bytes() == undisturbed.read_bytes()
        assert verify_shard(shard) == []
        assert names(shard.parent) == ["00000.h5"]
    assert said["ShardBusyError"] + said["LeaseLostError"] > 0


def compete(shard: Path, generator: random.Random) -> Counter[str]:
    """What processes say that write the shard with leases of half a second.

    Again and again one is stopped, for up to three leases, or goes on, or is killed.
    """
    command = [sys.executable, "-m", "tests.shards", "compete", str(shard), "0.5"]
    processes: list[subprocess.Popen[str]] = []
    for _ in range(12):
        if len(processes) < 5:
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        time.sleep(generator.uniform(0, 0.5))
        signals = [signal.SIGSTOP] * 5 + [signal.SIGCONT] * 3 + [signal.SIGKILL]
        generator.choice(processes).send_signal(generator.choice(signals))
    for process in processes:
        process.send_signal(signal.SIGCONT)
    said = Counter(process.communicate()[0].strip() for process in processes)
    assert all(process.returncode in (0, -signal.SIGKILL) for process in processes)
    return said
