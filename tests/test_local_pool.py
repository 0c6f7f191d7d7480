import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from slurm.environment import STOPPED_EARLY
from slurm.local_pool import run_pool
from slurm.marker import read_events
from slurm.resources import Resources, Shape
from slurm.submission import StepFolder
from tests.slurm_cluster import wait_until
from tests.submissions import LIGHT, manifest_of, python

SAY_INDEX = python("import os; print('shard', os.environ['TASK_INDEX'])")
OVERLAP = """
import os, pathlib, time
folder = pathlib.Path({folder!r})
mine = folder / os.environ["TASK_INDEX"]
mine.touch()
print(len(list(folder.iterdir())))
time.sleep(0.3)
mine.unlink()
"""


@pytest.fixture
def folder(tmp_path: Path) -> StepFolder:
    return StepFolder(tmp_path / "logs" / "extract")


def test_every_task_is_told_its_shard_and_writes_a_log_of_that_name(folder: StepFolder) -> None:
    submission = folder.begin(manifest_of(folder, SAY_INDEX, [4, 17]))
    run_pool(submission)
    for index in (4, 17):
        assert f"shard {index}\n" in (folder.path / f"{index:05d}.log").read_text()
        began, ended = read_events(submission.marker(index))
        assert (began.kind, ended.kind, ended.status) == ("began", "ended", 0)
        assert ended.cpu_seconds > 0 and ended.max_memory_bytes > 1e6


@pytest.mark.parametrize("max_running", [None, 1])
def test_no_more_tasks_run_at_once_than_there_are_cores(
    folder: StepFolder, tmp_path: Path, max_running: int | None
) -> None:
    (tmp_path / "running").mkdir()
    count = python(OVERLAP.format(folder=str(tmp_path / "running")))
    shape = Shape(max_running=max_running)
    run_pool(folder.begin(manifest_of(folder, count, range(5), shape=shape)))
    counts = [int(path.read_text().split()[-1]) for path in folder.path.glob("*.log")]
    allowed = min(len(os.sched_getaffinity(0)), max_running or 5)
    assert max(counts) <= allowed


def test_a_task_gets_the_cores_it_asks_for(folder: StepFolder) -> None:
    say = python("import os; print(os.environ['OMP_NUM_THREADS'])")
    run_pool(folder.begin(manifest_of(folder, say, [0], resources=Resources(cpus_per_task=900))))
    log = (folder.path / "00000.log").read_text()
    assert int(log.split()[-1]) == len(os.sched_getaffinity(0))


def test_a_task_that_fails_is_named_and_keeps_no_other_from_running(
    folder: StepFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    fail = python(
        "import os, sys; sys.exit('no disk' if os.environ['TASK_INDEX'] == '1' else None)"
    )
    submission = folder.begin(manifest_of(folder, fail, [0, 1, 2]))
    with pytest.raises(ChildProcessError, match=r"1 of 3 tasks failed.*00001\.log"):
        run_pool(submission)
    assert "shard 1 failed: no disk" in capfd.readouterr().out
    assert [read_events(submission.marker(i))[-1].status for i in (0, 1, 2)] == [0, 1, 0]


def test_a_task_that_is_killed_leaves_the_signal_in_its_marker(folder: StepFolder) -> None:
    submission = folder.begin(
        manifest_of(folder, python("import os; os.kill(os.getpid(), 9)"), [0])
    )
    with pytest.raises(ChildProcessError):
        run_pool(submission)
    ended = read_events(submission.marker(0))[-1]
    assert (ended.status, ended.signal) == (None, "SIGKILL")


def test_the_second_try_of_a_shard_is_added_to_its_log(folder: StepFolder) -> None:
    for _ in range(2):
        run_pool(folder.begin(manifest_of(folder, SAY_INDEX, [5])))
    assert (folder.path / "00005.log").read_text().count("shard 5\n") == 2


def test_a_signal_that_comes_before_the_command_listens_is_not_lost(
    folder: StepFolder, tmp_path: Path
) -> None:
    code = f"""
import pathlib, sys, time
pathlib.Path({str(tmp_path / "begun")!r}).touch()
time.sleep(0.5)  # imports
from mcn.stop import stop_on_signal
with stop_on_signal() as stop:
    while not stop.is_set:
        time.sleep(0.01)
time.sleep(1.5)  # saves, and is told again meanwhile
sys.exit({STOPPED_EARLY})
"""
    submission = folder.begin(manifest_of(folder, python(code), [0]))
    command = [sys.executable, "-m", "slurm.task", str(submission.path), "0", "--place=0"]
    with subprocess.Popen(command) as task:
        wait_until((tmp_path / "begun").exists, "the command runs")
        task.send_signal(signal.SIGUSR2)
    assert task.returncode == STOPPED_EARLY
    kinds = [(e.kind, e.signal, e.status) for e in read_events(submission.marker(0))]
    assert kinds[1:] == [("signalled", "SIGUSR2", None), ("ended", "", STOPPED_EARLY)]


def test_a_task_that_is_told_to_stop_before_it_began_wants_to_begin_later(
    folder: StepFolder, tmp_path: Path
) -> None:
    manifest = manifest_of(folder, python(f"open({str(tmp_path / 'begun')!r}, 'w')"), [0])
    submission = folder.begin(replace(manifest, jitter_seconds=1000))
    command = [sys.executable, "-m", "slurm.task", str(submission.path), "0", "--place=0"]
    with subprocess.Popen(command) as task:
        wait_until(lambda: read_events(submission.marker(0)) != [], "the task waits for its turn")
        task.send_signal(signal.SIGUSR2)
    assert task.returncode == STOPPED_EARLY
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize("is_hanging", [False, True])
def test_a_marker_that_cannot_be_written_keeps_no_task_from_stopping_in_time(
    folder: StepFolder, tmp_path: Path, is_hanging: bool
) -> None:
    code = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGUSR2, lambda *_: sys.exit({STOPPED_EARLY}))
pathlib.Path({str(tmp_path / "begun")!r}).touch()
time.sleep(60)
"""
    submission = folder.begin(manifest_of(folder, python(code), [0]))
    if is_hanging:
        os.mkfifo(submission.marker(0))  # to open it is to wait for a reader
    else:
        submission.marker(0).symlink_to("/dev/full")
    hurried = "import slurm.task as task; task.SECONDS_TO_NOTE = 0.2; task.main()"
    command = [sys.executable, "-c", hurried, str(submission.path), "0", "--place=0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as task:
        wait_until((tmp_path / "begun").exists, "the command runs")
        task.send_signal(signal.SIGUSR2)
        _, said = task.communicate(timeout=60)
    assert task.returncode == STOPPED_EARLY
    why = "cannot be written within 0.2 s" if is_hanging else "No space left on device"
    assert f"{submission.marker(0)}: " in said and why in said


def test_the_end_of_a_task_says_how_far_it_had_come(folder: StepFolder) -> None:
    code = "import os, pathlib; pathlib.Path(os.environ['TASK_PROGRESS']).write_text({!r})"
    told = {"unit": "videos", "done": 3, "total": 9, "skipped": 1, "frames": 0}
    text = json.dumps({**told, "started_at": 0.0, "updated_at": 1.0})
    submission = folder.begin(manifest_of(folder, python(code.format(text)), [4]))
    run_pool(submission)
    assert read_events(submission.marker(4))[-1].done == 3


def test_the_command_does_not_outlive_its_keeper(folder: StepFolder, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import os, pathlib, time; "
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    submission = folder.begin(manifest_of(folder, python(code), [0]))
    command = [sys.executable, "-m", "slurm.task", str(submission.path), "0", "--place=0"]
    with subprocess.Popen(command) as task:
        wait_until(lambda: pid_file.exists() and pid_file.read_text() != "", "the command runs")
        task.kill()
    pid = int(pid_file.read_text())
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_pool_takes_its_tasks_with_it_when_it_is_stopped(
    folder: StepFolder, number: signal.Signals
) -> None:
    code = f"""
import signal, sys, time
def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit({STOPPED_EARLY})
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""
    submission = folder.begin(manifest_of(folder, python(code), [0, 1, 2], resources=LIGHT))
    pool = (
        "import sys; from pathlib import Path; from slurm.submission import Submission; "
        "from slurm.local_pool import run_pool; run_pool(Submission.read(Path(sys.argv[1])))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", pool, str(submission.path)], stderr=subprocess.DEVNULL
    ) as process:
        wait_until(
            lambda: submission.log(0).exists() and "ready" in submission.log(0).read_text(),
            "a task runs",
        )
        process.send_signal(number)
    assert process.returncode != 0
    wait_until(lambda: read_events(submission.marker(0))[-1].kind == "ended", "the task has saved")
    assert read_events(submission.marker(0))[-1].status == STOPPED_EARLY
