"""A shard that its writer could not finish is never readable as complete, whatever stopped it."""

import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mcn.root import REPOSITORY
from mcn.store.holder import Holder
from mcn.store.layout import is_sealed
from mcn.store.lease import LeaseLostError
from mcn.store.reader import FeatureStore
from mcn.store.shard import shard_paths
from mcn.store.verify import verify_shard
from tests.kills import killed_before
from tests.shards import done, elsewhere, failed, write_shard, writer

RECORDS = [done("a", num_rows=40), failed("b"), done("c", num_rows=300)]
IDS = [record.video_id for record in RECORDS]
OTHER = done("other")


def write_all(path: Path) -> None:
    """Carries on with a shard, and seals it."""
    with writer(path, IDS) as shard:
        for record in RECORDS:
            if record.video_id not in shard.done:
                shard.append(record)
        shard.seal()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a sealed shard."""
    write_shard(tmp_path / "video" / "00000.h5", [OTHER])
    return tmp_path / "video"


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    write_all(tmp_path / "left alone" / "00001.h5")
    return (tmp_path / "left alone" / "00001.h5").read_bytes()


def is_readable(path: Path, expected: bytes) -> bool:
    """Whether readers see the shard; then all of it is there, and else nothing."""
    store = FeatureStore(path.parent)
    if path not in shard_paths(path.parent):
        assert not is_sealed(path)
        assert store.video_ids == [OTHER.video_id]
        return False
    assert path.read_bytes() == expected
    assert verify_shard(path) == []
    assert store.video_ids == [OTHER.video_id, "a", "c"]
    return True


@pytest.mark.slow
def test_a_writer_killed_before_any_call_leaves_a_whole_shard_or_none(
    store: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a killed process loses nothing it wrote
    path, seen, call = store / "00001.h5", [], 0
    while killed_before(call, partial(write_all, path)):
        seen.append(is_readable(path, expected))
        write_all(path)
        assert is_readable(path, expected)
        path.unlink()
        call += 1
    assert call > 30
    assert seen == sorted(seen), "a shard that was readable went"
    assert set(seen) == {False, True}


def test_a_disk_that_is_full_at_any_byte_leaves_no_shard(store: Path, expected: bytes) -> None:
    path = store / "00001.h5"
    for room in range(0, len(expected), 97):
        with disk_full_beyond(room), contextlib.suppress(OSError):
            write_all(path)
            pytest.fail(f"{room} bytes were enough for {len(expected)}")
        assert not is_readable(path, expected)
    write_all(path)
    assert is_readable(path, expected)


@contextlib.contextmanager
def disk_full_beyond(num_bytes: int) -> Iterator[None]:
    """Every write beyond that place of a file finds no space."""
    pwrite = os.pwrite

    def pwrite_where_there_is_room(file: int, data: bytes, offset: int) -> int:
        if offset >= num_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, data[: num_bytes - offset], offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite_where_there_is_room)
        yield


def leave_killed(path: Path) -> None:
    """Leaves a packing that is whole, and was to be put in its place."""
    child = os.fork()
    if not child:
        os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write_all(path)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert any(path.parent.glob(f"{path.stem}.*.packing"))


def leave_on_a_full_disk(path: Path) -> None:
    with disk_full_beyond(2000), pytest.raises(OSError, match="No space"):
        write_all(path)


def leave_fenced_off(path: Path) -> None:
    """Leaves the journals of one that was overtaken, and of who overtook it."""
    first = writer(path, IDS, holder=elsewhere("job"))
    first.append(RECORDS[0])
    with writer(path, IDS, holder=dataclasses.replace(Holder.here(), owner="job")) as second:
        second.append(RECORDS[1])
        with pytest.raises(LeaseLostError):
            first.append(RECORDS[2])
        with pytest.raises(ValueError, match="no record"):
            first.seal()
    first.close()


LEAVE: dict[str, Callable[[Path], None]] = {
    "00001.h5": leave_killed,
    "00002.h5": leave_on_a_full_disk,
    "00003.h5": leave_fenced_off,
}


def test_commands_count_as_sealed_what_is_and_leave_the_rest_to_extraction(store: Path) -> None:
    for name, leave in LEAVE.items():
        leave(store / name)
        assert not (store / name).exists()
        assert any(store.glob(f"{Path(name).stem}.*"))
    assert FeatureStore(store).video_ids == [OTHER.video_id]
    before = sorted(store.iterdir())
    verified = store_command("verify", str(store))
    assert verified.returncode == 0, verified.stderr
    assert "1 of 1 sealed shards are sound" in verified.stdout
    inspected = store_command("inspect", str(store))
    assert inspected.returncode == 0, inspected.stderr
    assert "3 (7 records)" in inspected.stdout
    assert sorted(store.iterdir()) == before


def store_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "jobs" / "store.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
