import threading
import time
from pathlib import Path

import pytest

from extractors.download import DownloadConfig
from extractors.download_errors import BlockedError
from extractors.download_pause import Notice, Pause, StillBlockedError
from mcn.stop import StopRequest

CONFIG = DownloadConfig(pause_seconds=10.0, max_pause_seconds=45.0, max_pauses=4)
BLOCK = BlockedError("HTTP Error 429", None)
PROMPT = 20.0
"""Seconds that are enough for a busy machine."""


def pause(folder: Path, stop: StopRequest | None = None) -> Pause:
    """The pause of one task; those with one folder share it."""
    return Pause(folder / "download" / "pause.json", CONFIG, stop or StopRequest())


def seconds_waited(one: Pause) -> float:
    began = time.monotonic()
    one.wait()
    return time.monotonic() - began


def write(one: Pause, *, since: float, seconds: float, number: int = 1) -> None:
    one._write(Notice(since=since, seconds=seconds, number=number, why="blocked"))


def notice(one: Pause) -> Notice:
    found = one._read()
    assert found is not None
    return found


def make_over(one: Pause) -> float:
    """Let the pause have just ended; returns a moment after that."""
    before = notice(one)
    write(one, since=time.time() - before.seconds - 1, seconds=before.seconds, number=before.number)
    return time.time()


def test_pauses_on_end_get_longer_up_to_a_limit_and_then_the_task_ends(tmp_path: Path) -> None:
    one, began_at, seconds = pause(tmp_path), time.time(), []
    for _ in range(4):
        one.begin(BLOCK, began_at)
        seconds.append(notice(one).seconds)
        began_at = make_over(one)
    assert seconds == [10, 20, 40, 45]
    with pytest.raises(StillBlockedError, match=r"after 4 pauses \(HTTP Error 429\).*pause\.json"):
        one.begin(BLOCK, began_at)


def test_tasks_that_meet_the_same_block_begin_one_pause(tmp_path: Path) -> None:
    began_at = time.time()
    pause(tmp_path).begin(BLOCK, began_at)
    before = notice(pause(tmp_path))
    pause(tmp_path).begin(BLOCK, began_at)
    assert notice(pause(tmp_path)) == before


def test_the_site_may_ask_for_a_longer_pause_within_bounds(tmp_path: Path) -> None:
    pause(tmp_path / "a").begin(BlockedError("", 30.0), time.time())
    pause(tmp_path / "b").begin(BlockedError("", 86_400.0), time.time())
    assert notice(pause(tmp_path / "a")).seconds == 30.0
    assert notice(pause(tmp_path / "b")).seconds == 45.0


def test_a_video_that_came_ends_what_was_before_it_only(tmp_path: Path) -> None:
    one, before = pause(tmp_path), time.time()
    one.begin(BLOCK, before)
    one.end(before)
    assert one.path.exists()
    one.end(make_over(one))
    assert not one.path.exists()


def test_a_block_long_after_a_pause_is_a_first_one(tmp_path: Path) -> None:
    one = pause(tmp_path)
    write(one, since=time.time() - 1000, seconds=45.0, number=4)
    one.begin(BLOCK, time.time())
    assert notice(one).number == 1


def test_another_task_waits_for_the_end_of_the_pause(tmp_path: Path) -> None:
    assert seconds_waited(pause(tmp_path)) < PROMPT
    since = time.time()
    write(pause(tmp_path), since=since, seconds=0.4)
    assert seconds_waited(pause(tmp_path)) < 0.4 + PROMPT
    assert time.time() >= since + 0.4
    write(pause(tmp_path), since=since - 3 * PROMPT, seconds=3 * PROMPT)
    assert seconds_waited(pause(tmp_path)) < PROMPT


@pytest.mark.parametrize("text", ["", "{", "[]", '{"since": 1}'])
def test_a_notice_that_a_crash_damaged_is_no_pause(tmp_path: Path, text: str) -> None:
    one = pause(tmp_path)
    write(one, since=time.time(), seconds=600.0)
    one.path.write_text(text)
    assert seconds_waited(one) < PROMPT
    one.begin(BLOCK, time.time())
    assert notice(one).number == 1


def test_a_clock_that_is_ahead_makes_nobody_wait_longer_or_twice(tmp_path: Path) -> None:
    one = pause(tmp_path)
    write(one, since=time.time() + 3600, seconds=1.0)
    assert 1.0 <= seconds_waited(one) < 1.0 + PROMPT
    assert min(seconds_waited(one) for _ in range(3)) < 1.0


@pytest.mark.parametrize("end", ["removal", "stop"])
def test_a_wait_ends_when_the_file_is_removed_or_at_a_stop(tmp_path: Path, end: str) -> None:
    stop = StopRequest()
    one = pause(tmp_path, stop)
    write(one, since=time.time(), seconds=60.0)
    timer = threading.Timer(
        0.2, one.path.unlink if end == "removal" else lambda: setattr(stop, "is_set", True)
    )
    timer.start()
    assert seconds_waited(one) < PROMPT
    timer.join()
