import errno
import json
from pathlib import Path

import pytest
from rich.console import Console

from extractors.estimate import Estimate, Load, Rate, estimate
from extractors.loads import RAW_BYTES_PER_SECOND, raw_sizes, resize_loads, seconds_of
from extractors.room import check_room, full_disk_explained
from jobs import costs
from jobs.costs import cost_of, planned_and_actual, print_cost
from slurm.launch import Step, Target
from slurm.local_pool import slots_of
from slurm.resources import Resources
from slurm.submission import StepFolder
from tests.submissions import manifest_of

RATE = Rate(seconds=2.0, unit="s of video", source="a guess")


def load(amount: float) -> Load:
    return Load(amount=amount, bytes_read=1e12, bytes_written=5e11, num_files=3)


def of(amounts: list[float], *, at_once: int) -> Estimate:
    return estimate(
        dict(enumerate(map(load, amounts))),
        RATE,
        tasks_at_once=at_once,
        cpus_per_task=4,
        gpus_per_task=0,
    )


def test_the_longest_shard_decides_where_there_is_room_for_all() -> None:
    cost = of([100.0, 900.0, 100.0], at_once=64)
    assert (cost.wall_seconds, cost.tasks_at_once) == (1800.0, 3)
    assert cost.task_hours == pytest.approx(2200 / 3600)


def test_each_task_takes_the_place_of_the_first_that_ends() -> None:
    assert of([3.0, 1.0, 1.0, 1.0], at_once=2).wall_seconds == 6.0
    assert of([1.0, 1.0, 1.0, 3.0], at_once=2).wall_seconds == 8.0


def test_an_estimate_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Estimate.read(tmp_path) is None
    cost = of([1.0, 2.0], at_once=1)
    cost.write(tmp_path)
    assert Estimate.read(tmp_path) == cost


def test_where_nothing_is_known_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(costs, "Console", lambda width: Console(width=200))
    unknown = Rate(seconds=None, unit="s of video", source="nothing")
    loads = {0: load(1.0)}
    cost = estimate(loads, unknown, tasks_at_once=1, cpus_per_task=4, gpus_per_task=1)
    print_cost("extract", cost)
    printed = capsys.readouterr().out
    assert "unknown" in printed and "wall time" not in printed and "1.000 TB" in printed


def test_lengths_that_are_not_known_are_those_of_the_size() -> None:
    sizes = {"a": 100.0, "b": 300.0, "c": 50.0}
    assert seconds_of(sizes, {"a": 10.0, "b": 30.0}) == {"a": 10.0, "b": 30.0, "c": 5.0}


def test_empty_files_tell_nothing_of_lengths() -> None:
    seconds = seconds_of({"a": 0.0, "b": 2 * RAW_BYTES_PER_SECOND}, {"a": 10.0})
    assert seconds == {"a": 10.0, "b": 2.0}


def test_a_raw_file_that_is_gone_by_now_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"12345")
    sources = {video_id: tmp_path / f"{video_id}.mp4" for video_id in ("a", "gone")}
    assert raw_sizes(sources) == {"a": 5.0}


def test_only_what_is_left_costs_anything() -> None:
    loads = resize_loads(
        [["a", "b"], ["c"]],
        [0],
        lambda video_id: video_id != "a",
        sizes={"a": 7.0, "b": 5.0, "c": 3.0},
        seconds={"a": 70.0, "b": 50.0, "c": 30.0},
        bytes_per_second=2.0,
    )
    assert loads == {0: Load(amount=50.0, bytes_read=5.0, bytes_written=100.0, num_files=3)}


@pytest.fixture
def step(tmp_path: Path) -> Step:
    """One with an earlier task of shard 3, which did half of its work in 100 s on 4 cores."""
    folder = StepFolder(tmp_path / "logs" / "resize")
    resources = Resources(cpus_per_task=4)
    submission = folder.begin(manifest_of(folder, ("resize",), [3], resources=resources))
    said = {"unit": "videos", "done": 60, "total": 100, "skipped": 10, "frames": 0}
    times = {"started_at": 1000.0, "updated_at": 1100.0}
    submission.progress(3).write_text(json.dumps(said | times))
    return Step(folder, ("resize",))


@pytest.mark.parametrize(("cpus", "seconds"), [(4, 0.5), (8, 0.25)])
def test_what_earlier_tasks_took_is_what_is_planned_with(
    step: Step, cpus: int, seconds: float
) -> None:
    target = Target(cluster="slurm", resources=Resources(cpus_per_task=cpus))
    cost = cost_of(
        step,
        {5: load(1000.0)},
        {3: 400.0, 5: 1000.0},
        target,
        max_running=None,
        is_alike=lambda command: command == ("resize",),
        default=RATE,
    )
    assert cost.rate.seconds == seconds and "1 earlier task" in cost.rate.source
    assert cost.task_seconds == {5: 1000 * seconds}


def test_tasks_that_did_other_work_tell_nothing(step: Step) -> None:
    cost = cost_of(
        step,
        {3: load(400.0)},
        {3: 400.0},
        Target(cluster="slurm"),
        max_running=None,
        is_alike=lambda command: False,
        default=RATE,
    )
    assert cost.rate == RATE


def test_tasks_that_found_a_part_done_tell_nothing_where_parts_differ(step: Step) -> None:
    cost = cost_of(
        step,
        {3: load(400.0)},
        {3: 400.0},
        Target(cluster="slurm"),
        max_running=None,
        is_alike=lambda command: True,
        is_telling=lambda task: not task.num_skipped,
        default=RATE,
    )
    assert cost.rate == RATE


def test_afterwards_the_plan_is_held_against_what_it_took(step: Step) -> None:
    assert planned_and_actual(step.folder) is None
    rate = Rate(seconds=1.0, unit="s of video", source="")
    loads = {3: load(400.0)}
    estimate(loads, rate, tasks_at_once=1, cpus_per_task=4, gpus_per_task=0).write(step.folder.path)
    said = planned_and_actual(step.folder)
    assert said is not None and "0.1 core-hours" in said and "0.2 (50%)" in said


def test_on_this_machine_as_many_tasks_are_planned_at_once_as_the_pool_runs(step: Step) -> None:
    resources = Resources(cpus_per_task=1)
    cost = cost_of(
        step,
        dict.fromkeys(range(99), load(1.0)),
        {},
        Target(cluster="local", resources=resources),
        max_running=None,
        is_alike=lambda command: False,
        default=RATE,
    )
    assert cost.tasks_at_once == len(slots_of(resources))


def test_too_little_room_is_an_error_that_names_place_need_and_rest(tmp_path: Path) -> None:
    check_room(tmp_path / "not there yet", num_bytes=1.0, num_files=1)
    with pytest.raises(ValueError, match=rf"{tmp_path}/x: needs [\d,]+.0 GB and has .* GB free"):
        check_room(tmp_path / "x", num_bytes=1e21, num_files=1)
    with pytest.raises(ValueError, match=r"needs 1,000,000,000,000,000,000 inodes and has"):
        check_room(tmp_path, num_bytes=1.0, num_files=10**18)


def test_a_full_disk_says_that_nothing_is_lost(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="make room and run it again"),
        full_disk_explained(tmp_path),
        Path("/dev/full").open("w", buffering=1) as full,
    ):
        full.write("x\n")
    with pytest.raises(FileNotFoundError), full_disk_explained(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "gone")
