"""What a state is made of where the sources contradict each other, or say nothing."""

import dataclasses
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slurm.marker import BEGAN, ENDED, SIGNALLED, Event, append_event
from slurm.states.accounts import Account
from slurm.states.judgement import GONE, ended_short, task_states
from slurm.submission import StepFolder, Submission
from tests.submissions import LIGHT, grow_old, manifest_of
from tests.witnesses import SHARD, account, entry, event, judged, note, submitted


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    """One task, which SLURM has taken as 7_0."""
    return submitted(tmp_path, [SHARD])


def test_completed_without_a_word_of_the_task_is_doubtful_and_not_done(
    submission: Submission,
) -> None:
    note(submission, BEGAN)
    state = judged(submission, entry("COMPLETED"))
    assert (state.state, state.is_done) == ("COMPLETED", False)
    assert state.doubt == (
        "SLURM says COMPLETED, but its own marker says that it began on node1, "
        "and not that it ended"
    )
    assert ended_short({SHARD: state}) == [SHARD]


def test_a_task_that_ended_well_is_done_whatever_slurm_says_and_that_is_doubtful(
    submission: Submission,
) -> None:
    note(submission, BEGAN)
    note(submission, ENDED, after=50, status=0)
    state = judged(submission, accounts=[account("OUT_OF_MEMORY")])
    assert (state.state, state.is_done, state.cause) == ("OUT_OF_MEMORY", True, "")
    assert state.doubt == (
        "SLURM says OUT_OF_MEMORY, but its own marker says that the command ended with status 0"
    )


def test_a_job_of_many_processes_is_done_only_where_slurm_agrees(tmp_path: Path) -> None:
    submission = submitted(tmp_path, [SHARD])
    shape = dataclasses.replace(submission.manifest.shape, nodes=2)
    manifest = dataclasses.replace(submission.manifest, shape=shape)
    (submission.path / "manifest.json").write_text(manifest.to_json())
    note(submission, BEGAN)
    note(submission, ENDED, after=50, status=0)
    assert not judged(submission, entry("FAILED")).is_done
    assert judged(submission, entry("COMPLETED")).is_done


def test_the_account_of_an_earlier_start_is_not_taken_for_the_newest(
    submission: Submission,
) -> None:
    note(submission, BEGAN)
    note(submission, BEGAN, restart=1, after=120)
    note(submission, ENDED, restart=1, after=180, status=0)
    state = judged(submission, accounts=[account("PREEMPTED")])
    assert (state.state, state.said_by, state.is_done) == ("COMPLETED", "marker", True)
    assert (state.restarts, state.doubt, state.node) == (1, "", "node2")


def test_an_earlier_start_that_speaks_last_changes_nothing(submission: Submission) -> None:
    note(submission, BEGAN)
    note(submission, BEGAN, restart=1, after=120)
    note(submission, ENDED, restart=1, after=180, status=0)
    note(submission, ENDED, restart=0, after=190, signal="SIGTERM")
    assert judged(submission).is_done


def test_queue_and_accounts_may_disagree(submission: Submission) -> None:
    note(submission, BEGAN)
    note(submission, ENDED, after=50, status=1)
    state = judged(submission, entry("FAILED"), accounts=[account("NODE_FAIL")])
    assert state.state == "FAILED"
    assert state.doubt == "the queue says FAILED, but the accounts say NODE_FAIL"


@pytest.mark.parametrize("state_by_accounts", ["RUNNING", "PENDING", "REQUEUED"])
def test_accounts_that_lag_do_not_keep_a_task_alive(
    submission: Submission, state_by_accounts: str
) -> None:
    note(submission, BEGAN)
    unfinished = dataclasses.replace(account(state_by_accounts), ended="Unknown")
    state = judged(submission, accounts=[unfinished])
    assert (state.state, state.is_live) == (GONE, False)
    assert f"the accounts say {state_by_accounts}" in state.doubt
    note(submission, ENDED, after=50, status=0)
    assert judged(submission, accounts=[unfinished]).is_done


def test_a_task_that_ended_long_ago_and_still_runs_is_doubtful(submission: Submission) -> None:
    note(submission, BEGAN)
    note(submission, ENDED, after=50, status=0)
    state = judged(submission, entry("RUNNING"))
    assert (state.is_live, state.is_done) == (True, False)
    assert state.doubt.startswith("the queue says RUNNING, but its own marker")


def test_a_task_that_was_stopped_and_saved_has_ended_short(submission: Submission) -> None:
    note(submission, BEGAN)
    note(submission, SIGNALLED, after=40, signal="SIGUSR2")
    note(submission, ENDED, after=50, status=75)
    state = judged(submission)
    assert (state.state, state.cause) == ("FAILED", "preempted")
    assert ended_short({SHARD: state}) == [SHARD]


def test_a_task_that_was_stopped_near_its_limit_ran_out_of_time(submission: Submission) -> None:
    note(submission, BEGAN)
    limit = LIGHT.time_limit_minutes * 60
    note(submission, ENDED, after=limit - LIGHT.warning_seconds + 5, status=75)
    assert judged(submission).cause == "time limit"


@pytest.mark.parametrize("accounts", [None, []])
def test_nobody_knows_of_a_task_that_left_no_word(
    submission: Submission, accounts: list[Account] | None
) -> None:
    state = judged(submission, accounts=accounts)
    assert (state.state, state.is_done, state.cause) == (GONE, False, "no word")
    assert state.doubt.endswith("its own marker does not say that it began")
    note(submission, BEGAN)
    assert "began on node1" in judged(submission, accounts=accounts).doubt


def test_tasks_that_slurm_refused_are_gone_with_the_reason(tmp_path: Path) -> None:
    submission = submitted(tmp_path, [SHARD])
    submission.record_job(0, "")
    state = judged(submission)
    assert (state.state, state.job_id, state.doubt) == (GONE, "", "SLURM refused its array")


def test_a_task_of_which_sbatch_has_not_told_is_found_by_its_comment(tmp_path: Path) -> None:
    submission = submitted(tmp_path, [SHARD])
    (submission.path / "jobs" / "0").unlink()
    waiting = judged(submission)
    assert (waiting.state, waiting.is_live) == ("PENDING", True)
    assert "sbatch has not answered yet" in waiting.doubt
    found = judged(submission, entry("RUNNING", "9_0", submission.comment(0)))
    assert (found.state, found.job_id, found.doubt) == ("RUNNING", "9_0", "")
    grow_old(submission)
    assert judged(submission).state == GONE


def test_a_job_of_the_same_id_that_bears_another_name_is_a_strangers(
    submission: Submission,
) -> None:
    note(submission, BEGAN)
    strange = entry("RUNNING", comment="/elsewhere/logs/extract#1.0")
    assert judged(submission, strange).state == GONE
    assert judged(submission, entry("RUNNING", comment=f"{submission.comment(0)}7")).state == GONE
    for ours in (submission.comment(0), f"{submission.comment(0)} gpu-hours=3"):
        assert judged(submission, entry("RUNNING", comment=ours)).state == "RUNNING"


def test_the_cluster_that_sbatch_named_is_said_where_nobody_knows_of_a_task(
    tmp_path: Path,
) -> None:
    submission = submitted(tmp_path, [SHARD])
    submission.record_job(0, "7", "gpus")
    assert submission.task_ids() == {SHARD: "7_0"}
    assert "(sbatch gave it to cluster gpus)" in judged(submission).doubt


def test_the_newest_submission_decides(tmp_path: Path) -> None:
    first = submitted(tmp_path, [41, SHARD])
    note(first, BEGAN)
    note(first, ENDED, after=50, status=1)
    append_event(first.marker(41), event(BEGAN))
    append_event(first.marker(41), event(ENDED, status=0))
    step = StepFolder(first.step_folder)
    second = step.begin(manifest_of(step, ["true"], [SHARD]))
    second.record_job(0, "8")
    states = task_states(step, [entry("RUNNING", "8_0")], None)
    assert {index: s.state for index, s in states.items()} == {41: "COMPLETED", SHARD: "RUNNING"}
    assert states[SHARD].submission.number == 2


def test_parts_used_are_those_of_the_accounts_and_else_of_the_marker(
    submission: Submission,
) -> None:
    note(submission, BEGAN)
    note(submission, ENDED, after=60, status=0)
    state = judged(submission, accounts=[account("COMPLETED")])
    assert state.cpu_efficiency == pytest.approx(0.75)
    assert state.memory_efficiency == pytest.approx(0.25)
    assert state.gpu_efficiency == pytest.approx(0.5)
    state = judged(submission)
    assert state.cpu_efficiency == pytest.approx(0.5)
    assert state.memory_efficiency == pytest.approx(2**20 / (0.1 * 2**30))
    assert state.gpu_efficiency is None
    unmeasured = dataclasses.replace(account("COMPLETED"), cpu_seconds=0.0, max_memory_bytes=0)
    assert judged(submission, accounts=[unmeasured]).cpu_efficiency == pytest.approx(0.5)
    overdone = dataclasses.replace(account("COMPLETED"), cpu_seconds=1e4, max_memory_bytes=2**40)
    state = judged(submission, accounts=[overdone])
    assert (state.cpu_efficiency, state.memory_efficiency) == (1.0, 1.0)


def test_tasks_of_this_machine_live_as_long_as_their_processes(tmp_path: Path) -> None:
    step = StepFolder(tmp_path / "logs" / "extract")
    submission = step.begin(manifest_of(step, ["true"], [41, SHARD], scheduler="local"))
    code = "import time; time.sleep(60)  # slurm.task"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        began = Event(
            kind=BEGAN,
            job_id=f"local-{process.pid}",
            restart=0,
            seconds=time.time(),
            node=socket.gethostname(),
            pid=process.pid,
        )
        append_event(submission.marker(41), began)
        states = task_states(step, [], None)
        assert [state.state for state in states.values()] == ["RUNNING", "PENDING"]
        assert ended_short(states) == []
    finally:
        process.kill()
        process.wait()
    states = task_states(step, [], None)
    assert [state.state for state in states.values()] == [GONE, GONE]
    assert ended_short(states) == [41, SHARD]


def test_a_folder_without_submissions_has_no_tasks(tmp_path: Path) -> None:
    assert task_states(StepFolder(tmp_path), [], None) == {}


def test_900_tasks_are_judged_in_a_second_and_logs_read_of_failed_ones_only(
    tmp_path: Path,
) -> None:
    submission = submitted(tmp_path, list(range(900)))
    for index in range(900):
        events = event(BEGAN), event(ENDED, after=60, status=int(index % 9 == 0))
        lines = (f"\n{json.dumps(dataclasses.asdict(each))}\n" for each in events)
        submission.marker(index).write_text("".join(lines))
        if index % 9:  # whoever opens them, fails
            submission.log(index).mkdir()
            submission.slurm_log(f"7_{index}").mkdir()
        else:
            submission.log(index).write_text("words\n" * 10**5 + "KeyError\n")
    began = time.process_time()  # others may be at work
    states = task_states(StepFolder(submission.step_folder), [], None)
    assert time.process_time() - began < 1.0
    assert ended_short(states) == list(range(0, 900, 9))
    assert {states[index].cause for index in ended_short(states)} == {"code"}
