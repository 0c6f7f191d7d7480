"""A file that breaks its decoder costs itself, in bounded time and memory, and nothing else."""

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from extractors.media import MediaError, sound_of
from extractors.pictures import pictures_of
from extractors.resize import ResizeConfig, resize_video
from extractors.sandbox import Sandbox, SandboxLimits
from tests.breakers import decode
from tests.videos import write_video

TASK = """
import itertools, sys
from pathlib import Path
from extractors.ahead import flow_ahead
from extractors.sandbox import Sandbox, SandboxLimits
from mcn.stop import stop_on_signal
from tests.breakers import decode

def decoded(name):
    yield int(list(sandbox.run(Path(name), promised_seconds=0))[-1][0])

with stop_on_signal() as stop, Sandbox(decode, SandboxLimits(seconds=5)) as sandbox:
    names = itertools.takewhile(lambda _: not stop.is_set, sys.argv[1:])
    one = dict(num_threads=1, size_of=lambda _: 1, most_bytes=1)
    for child in flow_ahead(decoded, names, **one):
        print(child, flush=True)
print("stopped", flush=True)
"""


def child_of(sandbox: Sandbox, name: str = "good") -> int:
    """The id of the process that a file was decoded in."""
    return int(list(sandbox.run(Path(name), promised_seconds=0))[-1][0])


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def eventually_gone(process_id: int) -> bool:
    deadline = time.monotonic() + 60
    while is_alive(process_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_alive(process_id)


@pytest.mark.parametrize(
    "name, reason, words",
    [
        ("abort", "crashed", "SIGABRT"),
        ("segfault", "crashed", "SIGSEGV"),
        ("hang", "hung", "not decoded in 4 s"),
        ("drip", "hung", "not decoded in 4 s"),
        ("bomb", "out-of-memory", "needs more than 1 GB"),
    ],
)
def test_what_breaks_a_decoder_is_that_files_error_and_the_next_has_a_new_child(
    name: str, reason: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    limits = SandboxLimits(seconds=4 if reason == "hung" else 60, memory_gb=1)
    with Sandbox(decode, limits) as sandbox:
        before = child_of(sandbox)
        began = time.monotonic()
        with pytest.raises(MediaError, match=words) as caught:
            child_of(sandbox, name)
        assert time.monotonic() - began < limits.seconds + 30
        assert caught.value.reason == reason
        assert not is_alive(before)
        after = child_of(sandbox)
        assert after != before
    assert not is_alive(after)
    assert capfd.readouterr() == ("", "")


def test_arrays_arrive_as_they_are_whatever_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with Sandbox(decode) as sandbox:
        arrays = list(sandbox.run(Path("chatter"), promised_seconds=0, scale=3))
    for array, expected in zip(arrays, decode(Path("good"), scale=3), strict=True):
        assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(arrays[0], [[0, 3, 6], [9, 12, 15]])
    assert capfd.readouterr() == ("", "")


def test_what_the_decoder_raises_is_raised_here_and_the_child_goes_on() -> None:
    with Sandbox(decode) as sandbox:
        child = child_of(sandbox)
        with pytest.raises(MediaError, match="refuse: cut off") as caught:
            child_of(sandbox, "refuse")
        assert caught.value.reason == "truncated"
        with pytest.raises(OSError, match="Stale file handle") as stale:
            child_of(sandbox, "stale")
        assert (stale.value.errno, stale.value.filename) == (116, "stale")
        with pytest.raises(MediaError, match=r"colours: .* not supported") as caught:
            child_of(sandbox, "colours")
        assert caught.value.reason == "undecodable"
        assert child_of(sandbox) == child


def test_an_error_that_nobody_foresaw_is_the_files_own_and_is_in_the_log_at_length(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Sandbox(decode) as sandbox:
        child = child_of(sandbox)
        with pytest.raises(MediaError, match="bug: KeyError: 'pts'") as caught:
            child_of(sandbox, "bug")
        assert caught.value.reason == "unforeseen"
        assert child_of(sandbox) == child
    assert 'raise KeyError("pts")' in capfd.readouterr().err


def test_a_file_may_decode_to_more_than_may_be_held_of_it() -> None:
    with (
        Sandbox(decode, SandboxLimits(memory_gb=1)) as sandbox,
        closing(sandbox.run(Path("flood"), promised_seconds=0)) as arrays,
    ):
        assert sum(array.nbytes for array in itertools.islice(arrays, 14)) > 10**9


def test_a_file_that_is_said_to_be_damaged_and_cannot_be_read_is_not_damaged(
    tmp_path: Path,
) -> None:
    (tmp_path / "refuse").symlink_to("/proc/self/mem")  # every read of it fails
    with (
        Sandbox(decode) as sandbox,
        pytest.raises(MediaError, match="Input/output error") as caught,
    ):
        list(sandbox.run(tmp_path / "refuse", promised_seconds=0))
    assert caught.value.reason == "unreadable-now"


def test_the_clock_allows_for_the_length_of_the_file() -> None:
    limits = SandboxLimits(seconds=0.3, seconds_per_second=2)
    with Sandbox(decode, limits) as sandbox:
        assert len(list(sandbox.run(Path("/tmp/slow"), promised_seconds=10))) == 3
        with pytest.raises(MediaError, match="not decoded in 0 s"):
            list(sandbox.run(Path("/tmp/slow"), promised_seconds=0))
        arrays = sandbox.run(Path("/tmp/slow"), promised_seconds=0)
        next(arrays)
        sandbox.promise_more(10)
        assert len(list(arrays)) == 2


def test_a_child_makes_way_after_so_many_files() -> None:
    with Sandbox(decode, SandboxLimits(files_per_child=2)) as sandbox:
        children = [child_of(sandbox) for _ in range(5)]
        assert [children[k] == children[k + 1] for k in range(4)] == [True, False, True, False]
        assert not is_alive(children[0])


def test_a_file_given_up_halfway_does_not_turn_up_in_the_next() -> None:
    with Sandbox(decode) as sandbox:
        arrays = sandbox.run(Path("good"), promised_seconds=0)
        next(arrays)
        arrays.close()
        assert len(list(sandbox.run(Path("good"), promised_seconds=0))) == 3


def test_a_child_that_was_killed_between_two_files_is_no_files_fault() -> None:
    with Sandbox(decode) as sandbox:
        child = child_of(sandbox)
        os.kill(child, signal.SIGKILL)
        assert child_of(sandbox) != child


def test_a_child_that_cannot_start_is_nobodys_crash(capfd: pytest.CaptureFixture[str]) -> None:
    def not_importable(path: Path) -> None: ...

    with (
        Sandbox(not_importable) as sandbox,  # type: ignore[arg-type]
        pytest.raises(ChildProcessError, match=r"good .* 3 tries: the last left \(1\)"),
    ):
        child_of(sandbox)
    assert "not_importable" in capfd.readouterr().err


def test_children_need_no_torch() -> None:
    check = (
        "import sys, extractors.sandbox_child, extractors.pictures; print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", check]) == b"False\n"


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGUSR2] * 3])
def test_a_stop_that_reaches_all_processes_lets_the_file_under_way_finish(
    tmp_path: Path, numbers: list[signal.Signals]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TASK, *[tmp_path / "slow"] * 30],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as task:
        assert task.stdout is not None
        child = task.stdout.readline()
        (tmp_path / "begun").unlink(missing_ok=True)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        for number in numbers:
            os.killpg(task.pid, number)
        said = task.stdout.read()
        assert said.splitlines()[-1] == "stopped" and set(said.splitlines()[:-1]) == {child.strip()}
        assert task.wait() == 0
    assert not is_alive(int(child))


@pytest.mark.slow
def test_a_task_that_was_suspended_takes_no_file_for_one_that_hangs(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TASK, tmp_path / "slow"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as task:
        assert task.stdout is not None
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.killpg(task.pid, signal.SIGSTOP)
        time.sleep(7)
        os.killpg(task.pid, signal.SIGCONT)
        assert task.stdout.read().splitlines()[-1] == "stopped"
        assert task.wait() == 0


@pytest.mark.parametrize("name", ["good", "hang"])
def test_a_child_does_not_outlive_a_task_that_is_killed(name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TASK, "good", *[name] * 1000], stdout=subprocess.PIPE, text=True
    ) as task:
        assert task.stdout is not None
        child = int(task.stdout.readline())
        time.sleep(0.3)
        task.kill()
    assert eventually_gone(child)


def test_files_decode_to_the_same_as_without_a_sandbox(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", seconds=70, width=64, height=48)
    path = tmp_path / "resized.mp4"
    resize_video(source, path, ResizeConfig(width=64, height=48))
    with Sandbox(pictures_of) as sandbox:
        inside = list(sandbox.run(path, promised_seconds=70))
    for mine, theirs in zip(inside, pictures_of(path), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with Sandbox(sound_of) as sandbox:
        heard = list(sandbox.run(path, promised_seconds=70, sample_rate=16_000))
    np.testing.assert_array_equal(
        np.concatenate(heard), np.concatenate(list(sound_of(path, 16_000)))
    )


def test_limits_that_no_child_can_work_with_are_refused() -> None:
    with pytest.raises(ValueError, match=r"memory_gb 0\.1"):
        SandboxLimits(memory_gb=0.1)
    with pytest.raises(ValueError, match="files_per_child 0"):
        SandboxLimits(files_per_child=0)
