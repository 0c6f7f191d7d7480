import dataclasses
import threading
from collections import Counter
from pathlib import Path

import pytest

from slurm.marker import BEGAN, ENDED, Event, append_event, read_events
from slurm.resources import Resources, Shape
from slurm.submission import StepFolder, Submission
from slurm.submit import chunks
from tests.submissions import manifest_of


@pytest.fixture
def folder(tmp_path: Path) -> StepFolder:
    return StepFolder(tmp_path / "logs" / "extract")


def event(kind: str) -> Event:
    return Event(kind=kind, job_id="7_1", restart=0, seconds=1.5, node="node1", pid=3)


def test_a_manifest_is_read_as_it_was_written(folder: StepFolder) -> None:
    resources = Resources(setup=("module load x",), sbatch={"mail-type": "FAIL"}, memory_gb=1.5)
    shape = Shape(nodes=2, tasks_per_node=4, dependency="afterok:3")
    written = manifest_of(folder, ["run", "it"], [3, 5], resources=resources, shape=shape)
    submission = folder.begin(written)
    assert Submission.read(submission.path) == submission
    assert submission.manifest == written


def test_submissions_are_numbered_and_each_stays_as_it_was(folder: StepFolder) -> None:
    first = folder.begin(manifest_of(folder, ["old"], [1, 2]))
    before = (first.path / "manifest.json").read_bytes()
    second = folder.begin(manifest_of(folder, ["new"], [2, 3]))
    assert [submission.number for submission in folder.submissions()] == [1, 2]
    assert (first.path / "manifest.json").read_bytes() == before
    newest = folder.newest_of_each_task()
    assert {index: s.number for index, s in newest.items()} == {1: 1, 2: 2, 3: 2}
    assert second.manifest.command == ("new",)


def test_of_two_launches_at_the_same_moment_one_gets_the_number(folder: StepFolder) -> None:
    manifest = manifest_of(folder, ["x"], [0])
    outcomes: Counter[str] = Counter()

    def begin() -> None:
        for _ in range(20):
            try:
                folder.begin(manifest)
            except FileExistsError:
                outcomes["late"] += 1
            else:
                outcomes["begun"] += 1
            folder.submissions()  # whole, whenever it is looked at

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes.values()) == 80
    numbers = [submission.number for submission in folder.submissions()]
    assert numbers == list(range(1, outcomes["begun"] + 1))
    assert len(list((folder.path / "submissions").iterdir())) == outcomes["begun"]


def test_a_manifest_that_cannot_be_understood_is_named(folder: StepFolder) -> None:
    submission = folder.begin(manifest_of(folder, ["x"], [0]))
    (submission.path / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"0001/manifest\.json is no manifest"):
        folder.submissions()


def test_logs_of_an_array_are_named_by_shard_and_those_of_a_job_by_rank(folder: StepFolder) -> None:
    array = folder.begin(manifest_of(folder, ["x"], [42]))
    job = folder.begin(manifest_of(folder, ["x"], [0], is_array=False))
    assert array.log(42).name == "00042.log"
    assert job.log(0, rank=3).name == "rank3.log"


def test_tasks_find_their_shard_across_arrays(folder: StepFolder) -> None:
    manifest = manifest_of(folder, ["x"], [10, 11, 15, 20, 21])
    assert chunks(5, 2) == ((0, 2), (2, 4), (4, 5))
    split = folder.begin(dataclasses.replace(manifest, chunks=chunks(5, 2)))
    split.record_job(0, "100")
    split.record_job(1, "101")
    split.record_job(2, "")  # SLURM refused it
    assert split.task_ids() == {10: "100_0", 11: "100_1", 15: "101_0", 20: "101_1"}


def test_a_marker_keeps_its_lines_whatever_a_crash_cuts_off(tmp_path: Path) -> None:
    path = tmp_path / "00001.jsonl"
    assert read_events(path) == []
    append_event(path, event(BEGAN))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        append_event(path, event(ENDED))
        assert [e.kind for e in read_events(path)][-1] == ENDED


@pytest.mark.parametrize(
    "bad",
    [
        b"\0" * 4096,
        b'{"kind": "ended", "job{"kind": "began", "job_id"',
        b"[3]",
        b'{"kind": "ended"}',
        b"\xff\xfe",
    ],
)
def test_a_line_of_a_marker_that_is_none_hides_no_other(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "00001.jsonl"
    append_event(path, event(BEGAN))
    with path.open("ab") as file:
        file.write(bad)
    append_event(path, event(ENDED))
    assert [e.kind for e in read_events(path)] == [BEGAN, ENDED]


def test_what_a_newer_version_adds_to_a_marker_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "00001.jsonl"
    append_event(path, event(ENDED))
    path.write_text(path.read_text().replace("{", '{"mood": "good", '))
    assert read_events(path) == [event(ENDED)]
