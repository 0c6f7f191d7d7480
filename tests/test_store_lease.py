import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcn.store.holder import Holder
from mcn.store.lease import LeaseLostError, ShardBusyError, acquire
from tests.shards import RENEWED, elsewhere, writer

LONG = 600.0
"""Seconds of a lease that no test waits for."""
PROMPT = 20.0
"""Far less than that, and enough for a busy machine."""


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return tmp_path / "store" / "00000.h5"


@contextlib.contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of tests.shards that has begun its shard."""
    command = [sys.executable, "-m", "tests.shards", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            yield holder
        finally:
            holder.kill()


def seconds_to(action: Callable[[], Any]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def test_a_second_writer_is_refused_and_told_who_the_first_is(shard: Path) -> None:
    with (
        process("hold", shard, RENEWED) as holder,
        pytest.raises(ShardBusyError, match=f"process {holder.pid} on "),
    ):
        writer(shard, ["a"])


def test_a_killed_holder_on_this_machine_is_succeeded_at_once(shard: Path) -> None:
    with process("hold", shard, LONG) as holder:
        holder.kill()
        assert seconds_to(lambda: writer(shard, ["a"]).close()) < PROMPT


def test_children_of_a_killed_writer_do_not_keep_its_lease(shard: Path) -> None:
    command = [sys.executable, "-m", "tests.shards", "hold-and-fork", str(shard)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            holder.kill()
            holder.wait()
            assert seconds_to(lambda: writer(shard, ["a"]).close()) < PROMPT
        finally:
            os.kill(child, signal.SIGKILL)


def test_another_process_with_the_id_of_the_holder_is_not_the_holder(tmp_path: Path) -> None:
    me = Holder.here()
    earlier = Holder(host=me.host, machine=me.machine, pid=me.pid, started_ticks=1)
    with acquire(tmp_path / "lease", earlier, lease_seconds=LONG) as lost:
        assert seconds_to(lambda: acquire(tmp_path / "lease", me).release()) < PROMPT
        with pytest.raises(LeaseLostError):
            lost.check()


def test_a_silent_holder_elsewhere_is_waited_for_exactly_as_long_as_it_promised(
    shard: Path,
) -> None:
    with process("hold-elsewhere", shard, 2.0) as holder:
        holder.kill()
        holder.wait()
        took = seconds_to(lambda: writer(shard, ["a"], lease_seconds=LONG).close())
    assert 2.0 <= took < 2.0 + PROMPT


@pytest.mark.slow
def test_a_living_holder_elsewhere_is_never_taken_over(shard: Path) -> None:
    with process("hold-elsewhere", shard, RENEWED / 2):
        until = time.monotonic() + RENEWED
        while time.monotonic() < until:
            with pytest.raises(ShardBusyError, match="on node7"):
                writer(shard, ["a"])


@pytest.mark.parametrize("year", [1971, 2100])
def test_clocks_that_differ_do_not_matter(shard: Path, year: int) -> None:
    def set_times(shard: Path) -> None:
        stamp = (year - 1970) * 365.25 * 86400
        for path in shard.with_suffix(".lease").iterdir():
            os.utime(path, (stamp, stamp))

    with process("hold-elsewhere", shard, RENEWED):
        set_times(shard)
        with pytest.raises(ShardBusyError):
            writer(shard, ["a"])
    other = shard.with_name("00001.h5")
    with process("hold-elsewhere", other, 2.0) as holder:
        holder.kill()
        holder.wait()
        set_times(other)
        assert 2.0 <= seconds_to(lambda: writer(other, ["a"]).close()) < 2.0 + PROMPT


def test_a_later_start_of_the_same_owner_elsewhere_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acquire(tmp_path / "lease", elsewhere("job 55"), lease_seconds=LONG) as earlier:
        monkeypatch.setenv("MCN_LEASE_OWNER", "job 55")
        later = Holder.here()
        assert seconds_to(lambda: acquire(tmp_path / "lease", later).release()) < PROMPT
        with pytest.raises(LeaseLostError):
            earlier.check()


def test_an_owner_that_is_seen_to_live_is_believed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCN_LEASE_OWNER", "job 55")
    with acquire(tmp_path / "lease", Holder.here(), lease_seconds=RENEWED) as lease:
        with pytest.raises(ShardBusyError, match="job 55"):
            acquire(tmp_path / "lease", Holder.here())
        lease.check()


@pytest.mark.parametrize("owner", ["x" * 201, "two\nlines", "ä"])
def test_an_owner_that_a_beat_has_no_room_for_is_an_error(
    monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    monkeypatch.setenv("MCN_LEASE_OWNER", owner)
    with pytest.raises(ValueError, match="MCN_LEASE_OWNER"):
        Holder.here()


@pytest.mark.parametrize("share", [None, 0.0, 0.01, 0.5, 0.99])
def test_a_beat_cut_off_by_a_crash_is_waited_for_and_no_longer(
    tmp_path: Path, share: float | None
) -> None:
    folder = tmp_path / "lease"
    acquire(folder, elsewhere(), lease_seconds=LONG).release()
    (beat,) = folder.glob("1.*")
    if share is None:
        beat.unlink()
    else:
        text = beat.read_bytes().rstrip()
        beat.write_bytes(text[: int(share * len(text))])
    (folder / ".nfs0001").touch()
    took = seconds_to(lambda: acquire(folder, Holder.here(), lease_seconds=1.0).release())
    assert 1.0 <= took < 1.0 + PROMPT


def test_a_token_is_never_given_twice(tmp_path: Path) -> None:
    tokens = []
    for _ in range(5):
        with acquire(tmp_path / "lease", Holder.here()) as lease:
            tokens.append(lease.token)
    assert tokens == [1, 2, 3, 4, 5]


def test_a_forked_child_neither_holds_nor_lets_go_of_the_lease(tmp_path: Path) -> None:
    with acquire(tmp_path / "lease", Holder.here(), lease_seconds=RENEWED) as lease:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()  # with threads, which is what is to be tried
        if not child:
            lease.release()
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(ShardBusyError):
            acquire(tmp_path / "lease", Holder.here())
        lease.check()
