"""What a step's board says of work, failures and use, from files as tasks leave them."""

from pathlib import Path

import pytest

from slurm.board.board import step_folders
from slurm.board.words import duration, rate
from slurm.submission import StepFolder
from tests.boards import Commands, begin, board, end, launch, make_progress
from tests.submissions import manifest_of


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(tmp_path / "bin", monkeypatch)


def test_an_array_is_one_row_with_a_count_for_each_state(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 6)
    for index in (0, 1):
        end(extract, index, 0)
    end(extract, 2, 1, says="ValueError: no")
    begin(extract, 3)
    commands.hold(t3="RUNNING", t4="PENDING")
    seen = board(extract)
    assert seen.states == {"COMPLETED": 2, "FAILED": 1, "RUNNING": 1, "PENDING": 1, "GONE": 1}
    assert seen.waiting_for == {"Priority": 1}
    assert (seen.tasks, seen.done, seen.live) == (6, 2, 2)
    assert seen.short == "2,5"


def test_the_rate_is_the_sum_over_running_tasks_without_what_was_done_before(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 3)
    for index in range(3):
        begin(extract, index)
    make_progress(extract, 0, done=50, seconds=100, frames=1000)
    make_progress(extract, 1, done=90, skipped=60, seconds=10, frames=500)
    make_progress(extract, 2, done=80, seconds=10)  # has left the queue
    commands.hold(t0="RUNNING", t1="RUNNING")
    work = board(extract).work
    assert work.per_second == pytest.approx(50 / 100 + 30 / 10)
    assert work.frames_per_second == pytest.approx(1000 / 100 + 500 / 10)
    assert (work.done, work.total, work.unit) == (220, 300, "videos")


def test_time_left_counts_waiting_tasks_as_the_mean_and_leaves_out_what_ended_short(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 4)
    begin(extract, 0)
    make_progress(extract, 0, done=60, total=100, seconds=60)
    end(extract, 1, 1)
    make_progress(extract, 1, done=1, total=300)
    commands.hold(t0="RUNNING", t2="PENDING")
    work = board(extract).work
    assert work.is_estimate
    assert work.total == 800
    assert work.seconds_left == pytest.approx((40 + 200) / 1.0)


def test_the_slowest_task_decides_the_time_left(tmp_path: Path, commands: Commands) -> None:
    extract = launch(tmp_path, "extract", 2)
    begin(extract, 0)
    begin(extract, 1)
    make_progress(extract, 0, done=99, seconds=10)
    make_progress(extract, 1, done=10, seconds=100)
    commands.hold(t0="RUNNING", t1="RUNNING")
    assert board(extract).work.seconds_left == pytest.approx(900)


def test_nobody_knows_the_time_left_where_nothing_runs(tmp_path: Path, commands: Commands) -> None:
    extract = launch(tmp_path, "extract", 2)
    commands.hold(t0="PENDING", t1="PENDING")
    work = board(extract).work
    assert (work.per_second, work.seconds_left, work.total) == (None, None, None)


def test_a_task_that_runs_and_says_nothing_is_named_and_adds_nothing_to_the_rate(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 2)
    begin(extract, 0)
    begin(extract, 1)
    make_progress(extract, 0, done=50, seconds=100)
    make_progress(extract, 1, done=50, seconds=100, ago=1800)
    commands.hold(t0="RUNNING", t1="RUNNING")
    work = board(extract).work
    assert work.silent == {1: pytest.approx(1800, abs=5)}
    assert work.per_second == pytest.approx(0.5)


def test_the_word_of_an_earlier_start_is_no_rate(tmp_path: Path, commands: Commands) -> None:
    extract = launch(tmp_path, "extract", 1)
    begin(extract, 0)
    make_progress(extract, 0, done=50, ago=7200)
    commands.hold(t0="RUNNING")
    work = board(extract).work
    assert work.per_second is None
    assert work.silent == {}
    assert work.done == 50


def test_a_shard_launched_again_keeps_what_it_had_done(tmp_path: Path, commands: Commands) -> None:
    first = launch(tmp_path, "extract", 2)
    make_progress(first, 1, done=70)
    step = StepFolder(first.step_folder)
    second = step.begin(manifest_of(step, ["true"], [1]))
    second.record_job(0, "78")
    assert board(second).work.done == 70


def test_failures_are_grouped_by_cause_with_one_log_and_its_last_line(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 8)
    for index in (1, 2, 3, 6):
        end(extract, index, 1, says="OSError: [Errno 28] No space left on device")
    end(extract, 5, 1, says="KeyError: 'x'\n\n")
    for index in (0, 4, 7):
        end(extract, index, 0)
    disk, code = board(extract).failures
    assert (disk.cause, disk.tasks, disk.shards) == ("disk full", 4, "1-3,6")
    assert disk.example_log == str(extract.log(1))
    assert disk.last_line == "OSError: [Errno 28] No space left on device"
    assert (code.cause, code.shards, code.last_line) == ("code", "5", "KeyError: 'x'")


def test_a_progress_file_that_is_none_is_as_if_it_were_not_there(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 2)
    extract.progress(0).write_text("[]")
    extract.progress(1).write_text('{"done": 3')
    assert board(extract).work.total is None


def test_steps_are_the_folders_with_a_submission(tmp_path: Path, commands: Commands) -> None:
    launch(tmp_path, "resize", 1)
    launch(tmp_path, "extract", 1)
    (tmp_path / "logs" / "else").mkdir()
    assert [step.path.name for step in step_folders(tmp_path / "logs")] == ["extract", "resize"]


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.4, "0 s"),
        (59.6, "1 min"),
        (3599, "59 min"),
        (3600 + 300, "1 h 05 min"),
        (86_400 * 3 + 7200, "3 d 2 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "per_second, text",
    [
        (31.234, "31.2 videos/s"),
        (12_345.6, "12,346 videos/s"),
        (0.01, "36 videos/h"),
        (0, "0 videos/s"),
    ],
)
def test_rates_are_by_the_hour_where_a_second_says_nothing(per_second: float, text: str) -> None:
    assert rate(per_second, "videos") == text
