"""The script of a job, read and run without SLURM: programs of ours answer in the place of its."""

import dataclasses
import os
import signal
import subprocess
from pathlib import Path

import pytest

import slurm.requeue
from slurm.environment import STOPPED_EARLY, Place
from slurm.launch import Step, Target, launch_job
from slurm.marker import BEGAN, ENDED, Event, append_event
from slurm.requeue import MOST_IDLE_STARTS, SECONDS_OF_USE, idle_starts, requeue, was_stopped
from slurm.resources import Resources, Shape
from slurm.script import sbatch_script
from slurm.submission import StepFolder, Submission
from tests.programs import Programs
from tests.submissions import LIGHT, manifest_of, python

KILLED = 128 + signal.SIGKILL
TWO_RANKS = Shape(nodes=2)


@pytest.fixture
def programs(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """SLURM's own, which note what they are asked; the shell's are there too."""
    monkeypatch.setenv("PATH", f"{programs.folder}:{os.environ['PATH']}:/usr/bin:/bin")
    monkeypatch.setattr(slurm.requeue, "SECONDS_BETWEEN_TRIES", (0.0, 0.0, 0.0))
    programs.add("srun", f"import sys; sys.exit({STOPPED_EARLY})")
    say_state(programs, "RUNNING")
    return programs


def say_state(programs: Programs, state: str, *, only_after: int = 0) -> None:
    """A scontrol that shows a job in this state, after so many calls without an answer."""
    calls = str(programs.folder / "calls")
    programs.add(
        "scontrol",
        f"""import sys
with open({calls!r}, "a+") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
    file.seek(0)
    num_calls = len(file.readlines())
if num_calls <= {only_after}:
    sys.exit("slurm_load_jobs error: Socket timed out on send/recv operation")
print("JobId=8 ArrayJobId=7 JobName=extract JobState={state} Reason=None")""",
    )


def calls(programs: Programs) -> list[str]:
    path = programs.folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def submission_of(
    folder: Path, *, resources: Resources = LIGHT, shape: Shape | None = None
) -> Submission:
    step = StepFolder(folder / "logs" / "extract")
    manifest = manifest_of(step, ["true"], [40, 41, 42], resources=resources, shape=shape)
    return step.begin(manifest)


def place(*, restart: int = 0) -> Place:
    """The batch script of the third task of array 7."""
    return Place(
        job_id="7_2",
        array_index=2,
        restart=restart,
        node="node1",
        rank=0,
        local_rank=0,
        num_ranks=1,
    )


def start(
    restart: int, *, seconds: float, done: int | None, status: int = STOPPED_EARLY
) -> tuple[Event, Event]:
    """What the marker says of one start of the task that lasted so long."""
    begun = Event(kind=BEGAN, job_id="7_2", restart=restart, seconds=1e9, node="node1", pid=3)
    ended = dataclasses.replace(
        begun, kind=ENDED, seconds=begun.seconds + seconds, status=status, done=done
    )
    return begun, ended


def note_end(
    submission: Submission,
    *,
    restart: int = 0,
    rank: int = 0,
    status: int = STOPPED_EARLY,
    done: int | None = None,
) -> None:
    """Let a process write that it began and ended."""
    for event in start(restart, seconds=60.0, status=status, done=done):
        append_event(submission.marker(42, rank=rank), event)


def options(submission: Submission) -> set[str]:
    lines = sbatch_script(submission, 0).splitlines()
    return {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}


def test_options_without_a_value_and_those_of_the_user_reach_sbatch(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBMITIT_PREEMPT_SIGNAL", "USR1")
    sbatch = {"contiguous": "", "mail_type": "FAIL", "no-requeue": ""}
    resources = dataclasses.replace(LIGHT, sbatch=sbatch, warning_seconds=90)
    given = options(submission_of(tmp_path, resources=resources))
    assert {"--contiguous", "--mail-type=FAIL", "--no-requeue", "--signal=USR2@90"} <= given
    assert "--requeue" not in given
    (tmp_path / "another").mkdir()
    assert "--requeue" in options(submission_of(tmp_path / "another"))


def test_a_launch_that_would_run_in_vain_leaves_nothing_behind(tmp_path: Path) -> None:
    step = Step(StepFolder(tmp_path / "logs" / "train"), ["true"])
    target = Target(cluster="slurm", resources=Resources(time_limit_minutes=2))
    with pytest.raises(ValueError, match="--time-limit-minutes 2 is too short"):
        launch_job(step, target, Shape(), here=lambda: None)
    assert not step.folder.path.exists()


@pytest.mark.parametrize("status", [0, 1, STOPPED_EARLY])
def test_the_script_puts_back_what_was_stopped_and_passes_the_status_on(
    tmp_path: Path, programs: Programs, status: int
) -> None:
    submission = submission_of(tmp_path)
    note_end(submission, status=status)
    programs.add("srun", f"import sys; sys.exit({status})")
    task = {"SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
    script = sbatch_script(submission, 0)
    done = subprocess.run(
        ["/bin/bash", "-c", script], env=os.environ | task, check=False, capture_output=True
    )
    assert (done.returncode, done.stderr) == (status, b"")
    # By the index: the last task of an array has its id, which means all of them.
    put_back = ["show job 7_2 --oneliner", "requeue 7_2"]
    assert calls(programs) == (put_back if status == STOPPED_EARLY else [])


def test_one_rank_that_left_in_time_is_enough_where_another_was_killed_as_it_waited(
    tmp_path: Path,
) -> None:
    submission = submission_of(tmp_path, shape=TWO_RANKS)
    assert not was_stopped(submission, 42, place(), KILLED)
    note_end(submission, rank=1, status=STOPPED_EARLY)
    assert was_stopped(submission, 42, place(), KILLED)
    assert not was_stopped(submission, 42, place(restart=1), KILLED)  # that was an earlier start


def test_a_job_comes_back_of_which_one_rank_left_in_time_beside_a_deaf_one(
    tmp_path: Path, programs: Programs
) -> None:
    code = (
        f"import os, time; os.environ['RANK'] == '1' and os._exit({STOPPED_EARLY}); time.sleep(60)"
    )
    step = StepFolder(tmp_path / "logs" / "train")
    shape = Shape(tasks_per_node=2)
    submission = step.begin(manifest_of(step, python(code), [0], shape=shape, is_array=False))
    programs.add(
        "srun",
        f"""import os, subprocess, sys
command = sys.argv[sys.argv.index(sys.executable):]
ranks = [
    subprocess.Popen(command, env=os.environ | {{"SLURM_PROCID": rank}}) for rank in ("0", "1")
]
ranks[1].wait()
ranks[0].kill()
ranks[0].wait()
sys.exit({KILLED})""",
    )
    job = {"SLURM_JOB_ID": "9", "SLURM_NTASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2"}
    script = ["/bin/bash", "-c", sbatch_script(submission, 0)]
    done = subprocess.run(script, env=os.environ | job, check=False)
    assert done.returncode == KILLED
    assert calls(programs) == ["show job 9 --oneliner", "requeue 9"]


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING", "PENDING"])
def test_a_job_that_was_cancelled_does_not_come_back(
    tmp_path: Path, programs: Programs, state: str
) -> None:
    say_state(programs, state)
    requeue(submission_of(tmp_path), 42, place(), STOPPED_EARLY)
    assert calls(programs) == ["show job 7_2 --oneliner"]


@pytest.mark.parametrize("num_silent", [1, 2, 3])
def test_a_controller_without_an_answer_is_asked_again(
    tmp_path: Path, programs: Programs, num_silent: int
) -> None:
    say_state(programs, "RUNNING", only_after=num_silent)
    submission = submission_of(tmp_path)
    requeue(submission, 42, place(), STOPPED_EARLY)
    assert calls(programs)[-1] == "requeue 7_2"
    assert not submission.log(42).exists()


def test_a_controller_that_never_answers_is_named_in_the_log(
    tmp_path: Path, programs: Programs
) -> None:
    say_state(programs, "RUNNING", only_after=99)
    submission = submission_of(tmp_path)
    requeue(submission, 42, place(), STOPPED_EARLY)
    assert "not put back into the queue: scontrol: slurm_load" in submission.log(42).read_text()


def test_who_forbids_a_job_to_come_back_is_obeyed(tmp_path: Path, programs: Programs) -> None:
    resources = dataclasses.replace(LIGHT, sbatch={"no_requeue": ""})
    requeue(submission_of(tmp_path, resources=resources), 42, place(), STOPPED_EARLY)
    assert calls(programs) == []


def test_starts_that_get_no_further_do_not_go_on_for_ever(
    tmp_path: Path, programs: Programs
) -> None:
    submission = submission_of(tmp_path)
    for restart in range(1 + MOST_IDLE_STARTS):
        assert not submission.log(42).exists()
        note_end(submission, restart=restart, done=3)  # of which the first one did all three
        requeue(submission, 42, place(restart=restart), STOPPED_EARLY)
    assert calls(programs).count("requeue 7_2") == MOST_IDLE_STARTS
    assert "5 starts in a row were stopped before they got" in submission.log(42).read_text()


def counted(*ends: tuple[int | None, float]) -> int:
    """Idle starts after these ends: how far each had come, and how long it took."""
    events: list[Event] = []
    for restart, (done, seconds) in enumerate(ends):
        events += start(restart, seconds=seconds, done=done)
    return idle_starts(events, restart=len(ends) - 1)


def test_only_starts_in_a_row_that_got_no_further_count_as_idle() -> None:
    assert counted((1, 9), (2, 9), (3, 9)) == 0
    assert counted((5, 9), (5, 9), (2, 9)) == 2  # what was lost and done again is nothing new
    assert counted((0, 9), (0, 9), (1, 9), (1, 9)) == 1
    # Who does not count is useful by lasting.
    assert counted((None, 9), (None, 9)) == 2
    assert counted((None, 9), (None, SECONDS_OF_USE), (None, 9)) == 1


def test_starts_that_left_no_word_count_too() -> None:
    assert idle_starts([], restart=4) == 5
