"""Launching on a real SLURM: what is asked for is done once, whatever happens on the way."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from textwrap import indent

import pytest

import slurm.controller
from extractors.corpus import resize_ledger
from extractors.words import train_word2vec
from mcn.data.ledger import Outcome
from mcn.root import REPOSITORY, Root
from mcn.store.reader import FeatureStore
from mcn.store.shard import open_shard
from slurm.controller import SlurmError
from slurm.environment import STOPPED_EARLY
from slurm.marker import read_events
from slurm.resources import Resources, Shape
from slurm.resubmit import resubmit
from slurm.submission import StepFolder
from slurm.submit import submit
from slurm.testbed import Testbed
from tests.slurm_cluster import empty_queue, queue, wait_until, waiting
from tests.submissions import LIGHT, grow_old, manifest_of, python

pytestmark = pytest.mark.slow

LATER = Resources(cpus_per_task=1, jitter_seconds=0, sbatch={"begin": "now+1hour"})


@pytest.fixture
def folder(tmp_path: Path, slurm_cluster: Testbed) -> Iterator[StepFolder]:
    """A step of its own; whatever became of it, the queue is empty afterwards."""
    yield StepFolder(tmp_path / "logs" / "extract")
    empty_queue(slurm_cluster)


def wait_for_shards(folder: StepFolder, indices: range) -> None:
    submission = folder.submissions()[-1]

    def have_ended() -> bool:
        events = (read_events(submission.marker(index)) for index in indices)
        return all(e and e[-1].kind == "ended" for e in events)

    wait_until(have_ended, f"shards {indices} have ended")


def text_root(path: Path, *, num_videos: int) -> Root:
    """A folder of data with captions, vectors of their words, and a ledger of resized videos."""
    root = Root(path)
    root.captions.mkdir(parents=True)
    texts = ["chop the onion", "fry the egg", "boil the rice"]
    captions = {
        f"video{k:02d}": {"start": [0.0, 3.0], "end": [3.0, 6.0], "text": [texts[k % 3], texts[0]]}
        for k in range(num_videos)
    }
    (root.captions / "caption.json").write_text(json.dumps(captions))
    resized = resize_ledger(root) / "00000.jsonl"
    resized.parent.mkdir(parents=True)
    outcomes = [Outcome(video_id=video_id, status="done", num_frames=180) for video_id in captions]
    resized.write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes))
    root.weights.mkdir()
    train_word2vec(texts * 4, root.weights / "words.bin", seed=0)
    return root


def extract(root: Root, *options: str) -> str:
    command = [sys.executable, str(REPOSITORY / "jobs" / "extract.py"), "--root", str(root.path)]
    text = ["--modalities", "text", "--word-vectors", str(root.weights / "words.bin")]
    light = ["--videos-per-shard", "1", "--cpus-per-task", "1", "--jitter-seconds", "0"]
    done = subprocess.run(
        [*command, *text, *light, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_twelve_shards_run_completely_where_an_array_has_five(
    testbed: Testbed, tmp_path: Path
) -> None:
    root = text_root(tmp_path / "data", num_videos=12)
    answer = extract(root, "--array", "0-11%8")
    assert "submitted 12 tasks as" in answer
    folder = StepFolder(root.logs / "extract")
    assert len(folder.submissions()[0].job_ids()) == 3
    wait_for_shards(folder, range(12))
    empty_queue(testbed)

    for index in range(12):
        shard = open_shard(root.store / "text-word2vec" / f"{index:05d}.h5")
        assert list(shard.plan().video_ids) == [f"video{index:02d}"]
        log = (root.logs / "extract" / f"{index:05d}.log").read_text()
        assert f"shard {index}: 1/1 videos" in log
    assert len(FeatureStore(root.store / "text-word2vec").video_ids) == 12

    assert "nothing left to extract in 12 shards" in extract(root, "--array", "0-11")
    (root.store / "text-word2vec" / "00007.h5").unlink()
    assert "submitted 1 tasks as" in extract(
        root, "--array", "0-11", "--sbatch", "begin", "now+1hour"
    )
    assert "1 of 1 are in the queue already" in extract(root, "--array", "0-11")
    assert len(waiting(testbed)) == 1
    empty_queue(testbed)


def test_what_ended_short_is_what_array_failed_means(testbed: Testbed, tmp_path: Path) -> None:
    root = text_root(tmp_path / "data", num_videos=6)
    later = ("--sbatch", "begin", "now+1hour")
    assert "submitted 3 tasks" in extract(root, "--array", "1-3", *later)
    assert "nothing left to extract in 0 shards" in extract(root, "--array", "failed")
    empty_queue(testbed)
    assert "submitted 3 tasks" in extract(root, "--array", "failed", *later)
    assert StepFolder(root.logs / "extract").submissions()[-1].manifest.indices == (1, 2, 3)
    empty_queue(testbed)


def test_a_dry_run_prints_the_scripts_and_leaves_nothing(testbed: Testbed, tmp_path: Path) -> None:
    root = text_root(tmp_path / "data", num_videos=7)
    printed = extract(root, "--array", "0-6%3", "--dry-run", "--partition", "high", "--qos", "fast")
    assert printed.count("#!/bin/bash") == 2
    assert "#SBATCH --array=0-4%2\n" in printed and "#SBATCH --array=0-1%1\n" in printed
    assert "#SBATCH --partition=high\n" in printed and "#SBATCH --qos=fast\n" in printed
    assert waiting(testbed) == []
    assert not root.logs.exists()


def test_what_is_in_the_queue_is_not_submitted_twice(testbed: Testbed, folder: StepFolder) -> None:
    submit(folder, manifest_of(folder, ["true"], range(4), resources=LATER))
    submit(folder, manifest_of(folder, ["true"], range(2, 9), resources=LATER))
    assert folder.submissions()[1].manifest.indices == (4, 5, 6, 7, 8)
    assert len(waiting(testbed)) == 9


def test_a_task_that_waits_does_what_it_was_submitted_for(
    testbed: Testbed, folder: StepFolder
) -> None:
    submit(folder, manifest_of(folder, ["echo", "old"], [0], resources=LATER))
    submit(folder, manifest_of(folder, ["echo", "new"], [1], resources=LIGHT))
    (job,) = folder.submissions()[0].job_ids().values()
    testbed.run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
    wait_until(
        lambda: all(
            read_events(s.marker(i))[-1:] and read_events(s.marker(i))[-1].kind == "ended"
            for i, s in enumerate(folder.submissions())
        ),
        "both have ended",
    )
    logs = [(folder.path / f"0000{index}.log").read_text().splitlines()[-1] for index in (0, 1)]
    assert logs == ["old", "new"]


def test_launches_at_the_same_moment_share_the_work(testbed: Testbed, folder: StepFolder) -> None:
    outcomes: list[object] = []

    def launch(first: int) -> None:
        manifest = manifest_of(folder, ["true"], range(first, first + 4), resources=LATER)
        try:
            outcomes.append(submit(folder, manifest))
        except SlurmError as error:  # the other one had not heard from sbatch yet
            outcomes.append(error)

    threads = [threading.Thread(target=launch, args=(first,)) for first in (0, 0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shards = [index for s in folder.submissions() for index in s.manifest.indices]
    assert len(shards) == len(set(shards)) == len(waiting(testbed))
    assert any(isinstance(outcome, list) for outcome in outcomes)


def test_a_launch_that_is_overtaken_while_it_asks_the_queue_looks_again(
    testbed: Testbed, folder: StepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path,
        "squeue",
        f"""answer=$(/usr/bin/squeue "$@")
if mkdir {tmp_path}/asked 2> /dev/null; then
  while [ ! -e {tmp_path}/overtaken ]; do sleep 0.02; done
fi
echo "$answer" """,
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    slow = threading.Thread(
        target=submit, args=(folder, manifest_of(folder, ["true"], range(4), resources=LATER))
    )
    slow.start()
    wait_until((tmp_path / "asked").exists, "the slow launch has its answer")
    submit(folder, manifest_of(folder, ["true"], range(2, 6), resources=LATER))
    (tmp_path / "overtaken").touch()
    slow.join()
    assert [s.manifest.indices for s in folder.submissions()] == [(2, 3, 4, 5), (0, 1)]
    assert len(waiting(testbed)) == 6


def program(tmp_path: Path, name: str, script: str) -> None:
    """A program of this name before SLURM's on the PATH of what follows."""
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def before_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm.controller, "SECONDS_TO_ANSWER", 2.0)
    return tmp_path


def test_a_job_that_sbatch_took_without_an_answer_is_found_in_the_queue(
    testbed: Testbed, folder: StepFolder, before_slurm: Path
) -> None:
    # In a session of its own, lest it is killed before it has handed the job in.
    program(before_slurm, "sbatch", 'setsid /usr/bin/sbatch "$@" > /dev/null & exec sleep 60')
    with pytest.raises(SlurmError, match=r"sbatch gave no answer within 2 s.*not submitted twice"):
        submit(folder, manifest_of(folder, ["true"], range(3), resources=LATER))
    wait_until(lambda: len(waiting(testbed)) == 3, "SLURM has taken the job")
    (before_slurm / "bin" / "sbatch").unlink()
    job_ids = submit(folder, manifest_of(folder, ["true"], range(3), resources=LATER))
    assert {job.split("_")[0] for job in waiting(testbed)} == set(job_ids)
    assert len(waiting(testbed)) == 3


def test_a_job_that_sbatch_may_have_taken_is_waited_for_before_it_is_submitted_again(
    testbed: Testbed, folder: StepFolder, before_slurm: Path
) -> None:
    silent = "echo 'sbatch: error: Batch job submission failed: Socket timed out' >&2; exit 1"
    program(before_slurm, "sbatch", silent)
    manifest = manifest_of(folder, ["true"], range(3), resources=LATER)
    with pytest.raises(SlurmError, match="Socket timed out"):
        submit(folder, manifest)
    (before_slurm / "bin" / "sbatch").unlink()
    with pytest.raises(SlurmError, match="whether SLURM has taken it is known in"):
        submit(folder, manifest)
    (submission,) = folder.submissions()
    grow_old(submission)
    submit(folder, manifest)
    assert len(waiting(testbed)) == 3


def test_what_slurm_refuses_leaves_nothing_behind(testbed: Testbed, folder: StepFolder) -> None:
    nowhere = Resources(partition="nowhere", jitter_seconds=0)
    with pytest.raises(SlurmError, match=r"invalid partition.*nothing was submitted"):
        submit(folder, manifest_of(folder, ["true"], range(3), resources=nowhere))
    assert folder.submissions() == []
    assert waiting(testbed) == []


@pytest.mark.parametrize(
    ("name", "script", "complaint"),
    [
        ("squeue", "sleep 60", "squeue gave no answer within 2 s"),
        ("squeue", "echo 'what do you want'", "which is no line of a queue"),
        ("squeue", "echo 'slurm_load_jobs error: Unable to contact' >&2; exit 1", "Unable to"),
        ("scontrol", "echo hello", "does not say MaxArraySize"),
        ("scontrol", "exec sleep 60", "scontrol gave no answer within 2 s"),
        ("scontrol", "printf '\\xff\\xfe'", "bytes that are no text"),
    ],
)
def test_a_controller_that_cannot_be_asked_is_a_clear_line_and_no_submission(
    testbed: Testbed,
    folder: StepFolder,
    before_slurm: Path,
    name: str,
    script: str,
    complaint: str,
) -> None:
    program(before_slurm, name, script)
    with pytest.raises(SlurmError, match=complaint):
        submit(folder, manifest_of(folder, ["true"], range(3)))
    assert not folder.path.exists()
    (before_slurm / "bin" / name).unlink()
    assert waiting(testbed) == []


def test_without_slurm_on_the_path_the_way_out_is_named(
    folder: StepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlurmError, match=r"not on the PATH.*--cluster local"):
        submit(folder, manifest_of(folder, ["true"], [0]))


def test_a_task_that_wants_to_go_on_is_started_again(testbed: Testbed, folder: StepFolder) -> None:
    again = python(
        f"import os, sys; sys.exit(0 if 'SLURM_RESTART_COUNT' in os.environ else {STOPPED_EARLY})"
    )
    (job,) = submit(folder, manifest_of(folder, again, [3]))
    submission = folder.submissions()[0]

    def statuses() -> list[int | None]:
        return [e.status for e in read_events(submission.marker(3)) if e.kind == "ended"]

    wait_until(lambda: f"{job}_0" in queue(testbed) and statuses() != [], "its first start is over")
    wait_until(lambda: statuses() == [STOPPED_EARLY, 0], "its second start is over")
    assert [e.restart for e in read_events(submission.marker(3))] == [0, 0, 1, 1]


SAVE_WHEN_ASKED = f"""
import signal, sys, time
def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    sys.exit({STOPPED_EARLY})
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR2, stop)
print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def time_to_save(testbed: Testbed) -> Iterator[None]:
    """Let what is preempted in `lowc` have a minute, in place of the three seconds of the deaf."""
    update = ["scontrol", "update", "PartitionName=lowc"]
    testbed.run([*update, "GraceTime=60"])
    try:
        yield
    finally:
        testbed.run([*update, "GraceTime=3"])


def test_a_task_that_the_site_would_cancel_to_make_room_comes_back(
    testbed: Testbed, folder: StepFolder
) -> None:
    resources = Resources(cpus_per_task=1, jitter_seconds=0, partition="lowc")
    code = f"import os\nif 'SLURM_RESTART_COUNT' not in os.environ:\n{indent(SAVE_WHEN_ASKED, ' ')}"
    (job,) = submit(folder, manifest_of(folder, python(code), [0], resources=resources))
    submission = folder.submissions()[0]
    wait_until(
        lambda: submission.log(0).exists() and "ready" in submission.log(0).read_text(), "it runs"
    )
    with time_to_save(testbed):
        other = testbed.preempt(f"{job}_0")
        wait_until(lambda: read_events(submission.marker(0))[-1].kind == "ended", "it has saved")
        testbed.run(["scancel", other])
        wait_until(
            lambda: read_events(submission.marker(0))[-1].status == 0, "its second start is over"
        )


@pytest.mark.parametrize("max_running", [2, 4])
def test_all_arrays_together_run_no_more_tasks_than_were_asked_for(
    testbed: Testbed, folder: StepFolder, tmp_path: Path, max_running: int
) -> None:
    (tmp_path / "running").mkdir()
    code = f"""
import os, pathlib, time
folder = pathlib.Path({str(tmp_path / "running")!r})
mine = folder / os.environ["TASK_INDEX"]
mine.touch()
print(len(list(folder.iterdir())))
time.sleep(0.3)
mine.unlink()
"""
    shape = Shape(max_running=max_running)
    job_ids = submit(folder, manifest_of(folder, python(code), range(12), shape=shape))
    assert len(job_ids) == 3
    wait_for_shards(folder, range(12))
    counts = [int(path.read_text().split()[-1]) for path in folder.path.glob("*.log")]
    assert len(counts) == 12
    assert max(counts) <= max_running


def test_a_cancelled_task_saves_and_does_not_come_back(
    testbed: Testbed, folder: StepFolder
) -> None:
    (job,) = submit(folder, manifest_of(folder, python(SAVE_WHEN_ASKED), [0]))
    submission = folder.submissions()[0]
    wait_until(
        lambda: submission.log(0).exists() and "ready" in submission.log(0).read_text(), "it runs"
    )
    testbed.run(["scancel", job])
    wait_until(lambda: read_events(submission.marker(0))[-1].kind == "ended", "it has saved")
    assert read_events(submission.marker(0))[-1].status == STOPPED_EARLY
    empty_queue(testbed)
    time.sleep(1)
    assert waiting(testbed) == []
    assert len(read_events(submission.marker(0))) == 3


def test_what_ended_short_is_submitted_again_as_it_was(
    testbed: Testbed, folder: StepFolder
) -> None:
    later = manifest_of(
        folder, ["true"], range(6), resources=LATER, shape=Shape(dependency="afterany:1")
    )
    submit(folder, later)
    empty_queue(testbed)
    resubmit(folder, [1, 4])
    again = folder.submissions()[1].manifest
    assert again.indices == (1, 4)
    assert again.shape.dependency is None
    assert (again.command, again.resources) == (later.command, later.resources)


def test_a_job_waits_for_another_and_goes_with_it(testbed: Testbed, tmp_path: Path) -> None:
    first, second = StepFolder(tmp_path / "logs" / "a"), StepFolder(tmp_path / "logs" / "b")
    (job,) = submit(first, manifest_of(first, ["false"], [0], is_array=False))
    shape = Shape(dependency=f"afterok:{job}")
    (dependent,) = submit(second, manifest_of(second, ["true"], [0], is_array=False, shape=shape))
    wait_until(
        lambda: queue(testbed).get(dependent, "CANCELLED") == "CANCELLED",
        "the second is cancelled since the first has failed",
    )
    assert read_events(second.submissions()[0].marker(0)) == []
    empty_queue(testbed)
