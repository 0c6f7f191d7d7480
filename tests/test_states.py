"""Every state of a task is named rightly on a real SLURM, with accounts and without."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm.controller import squeue
from slurm.resources import Shape
from slurm.states.accounts import sacct
from slurm.states.judgement import GONE, TaskState, ended_short, task_states
from slurm.submission import StepFolder
from slurm.submit import submit
from slurm.testbed import Testbed
from tests.fates import FATES, SHARD, SLEEP, Watched, has_begun, job_ids
from tests.slurm_cluster import empty_queue, nothing_starts, speaking_to, wait_until
from tests.submissions import LIGHT, manifest_of

pytestmark = pytest.mark.slow


@pytest.fixture(
    params=["slurm_cluster", "slurm_cluster_without_accounting"],
    ids=["accounting", "no accounting"],
)
def testbed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Testbed)
    with speaking_to(chosen):
        yield chosen
        empty_queue(chosen)


@pytest.fixture
def step(tmp_path: Path) -> StepFolder:
    return StepFolder(tmp_path / "logs" / "extract")


def all_now(step: StepFolder) -> list[TaskState]:
    queue, accounts = squeue(), sacct(job_ids(step))
    return list(task_states(step, queue, accounts.known if accounts else None).values())


def now(step: StepFolder) -> TaskState:
    return all_now(step)[0]


def launch(step: StepFolder, script: str, **sbatch: str) -> str:
    """Submit one task, and return the id that SLURM knows it by."""
    resources = dataclasses.replace(LIGHT, sbatch=sbatch)
    submit(step, manifest_of(step, ("sh", "-c", script), [SHARD], resources=resources))
    return job_ids(step)[0]


@pytest.mark.parametrize("name", FATES)
@pytest.mark.parametrize("cluster", ["accounting", "no accounting"])
def test_the_queue_names_how_a_task_ended(
    watched: dict[str, Watched], cluster: str, name: str
) -> None:
    state = watched[cluster].in_queue[name]
    assert (state.state, state.is_live) == (FATES[name].in_queue, False)
    assert state.is_done == (name == "well")
    assert state.cause == FATES[name].cause
    assert state.doubt == ""


@pytest.mark.parametrize("name", FATES)
def test_the_accounts_remember_how_a_task_ended(watched: dict[str, Watched], name: str) -> None:
    state = watched["accounting"].afterwards[name]
    assert (state.state, state.said_by) == (FATES[name].by_accounts, "accounts")
    assert state.is_done == (name == "well")
    assert state.cause == FATES[name].cause
    assert state.doubt == ""
    assert state.node == FATES[name].sbatch["nodelist"]
    assert state.started_at is not None and state.ended_at is not None
    began_at = int(watched["accounting"].submitted_at)  # SLURM writes whole seconds
    assert began_at <= state.started_at <= state.ended_at <= time.time()


@pytest.mark.parametrize("name", FATES)
def test_without_accounts_marker_and_log_tell_how_a_task_ended_or_it_is_gone(
    watched: dict[str, Watched], name: str
) -> None:
    state = watched["no accounting"].afterwards[name]
    assert (state.state, state.said_by) == FATES[name].by_itself
    assert state.is_done == (name == "well")
    assert not state.is_live
    if state.state == GONE:
        assert state.cause == "no word"
        assert FATES[name].sbatch["nodelist"] in state.doubt
    else:
        assert (state.cause, state.doubt) == (FATES[name].cause, "")


@pytest.mark.parametrize("cluster", ["accounting", "no accounting"])
def test_all_but_the_task_that_ended_well_have_ended_short(
    watched: dict[str, Watched], cluster: str
) -> None:
    for name, state in watched[cluster].afterwards.items():
        assert ended_short({SHARD: state}) == ([] if name == "well" else [SHARD])


def test_a_task_that_may_not_run_yet_is_pending(testbed: Testbed, step: StepFolder) -> None:
    job = launch(step, SLEEP, begin="now+1hour")
    state = now(step)
    assert (state.state, state.is_live, state.is_done) == ("PENDING", True, False)
    assert (state.job_id, state.node, state.started_at) == (job, "", None)
    assert (state.doubt, ended_short({SHARD: state})) == ("", [])


def test_tasks_cancelled_before_they_began_are_never_taken_for_done(
    testbed: Testbed, step: StepFolder
) -> None:
    shards = [SHARD, 43, 50]
    shape = Shape(max_running=1)
    submit(step, manifest_of(step, ("sh", "-c", SLEEP), shards, resources=LIGHT, shape=shape))
    wait_until(lambda: has_begun(step), "the first has begun")
    assert [state.state for state in all_now(step)] == ["RUNNING", "PENDING", "PENDING"]
    testbed.run(["scancel", job_ids(step)[0].split("_")[0]])
    wait_until(lambda: not any(state.is_live for state in all_now(step)), "all are cancelled")
    testbed.forget_ended_jobs()
    if testbed.accounting:
        wait_until(lambda: {state.state for state in all_now(step)} == {"CANCELLED"}, "known still")
    else:
        assert [state.state for state in all_now(step)] == ["CANCELLED", GONE, GONE]
    states = {state.index: state for state in all_now(step)}
    assert ended_short(states) == shards


def test_a_running_task_is_running_and_may_be_suspended(testbed: Testbed, step: StepFolder) -> None:
    job = launch(step, SLEEP, nodelist="node2")
    wait_until(lambda: has_begun(step), "it has begun")
    state = now(step)
    assert (state.state, state.is_live, state.node) == ("RUNNING", True, "node2")
    assert state.started_at is not None and state.ended_at is None
    testbed.run(["scontrol", "suspend", job])
    state = now(step)
    assert (state.state, state.is_live, state.doubt) == ("SUSPENDED", True, "")
    testbed.run(["scontrol", "resume", job])
    assert now(step).state == "RUNNING"


def test_a_task_put_back_is_requeued_and_may_end_well_after_all(
    testbed: Testbed, step: StepFolder, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    job = launch(step, f"test -e {begun} && exit 0; touch {begun}; exec sleep 600")
    wait_until(begun.exists, "it has begun")
    with nothing_starts(testbed):
        testbed.run(["scontrol", "requeue", job])
        wait_until(lambda: now(step).state == "REQUEUED", "it is put back")
        state = now(step)
        assert (state.is_live, state.restarts, state.node) == (True, 1, "")
        assert ended_short({SHARD: state}) == []
    testbed.run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
    wait_until(lambda: now(step).is_done, "it ends well")
    testbed.forget_ended_jobs()
    state = now(step)
    assert state.said_by != "queue"
    assert (state.state, state.restarts, state.cause) == ("COMPLETED", 1, "")
    assert (state.is_done, state.doubt) == (True, "")
