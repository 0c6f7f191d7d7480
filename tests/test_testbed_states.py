"""Every state of a job can be forced on the testbed, and SLURM's own commands name it so."""

from pathlib import Path

import pytest

from slurm.testbed import Testbed
from tests.fates import FATES, Watched
from tests.slurm_cluster import (
    accounts,
    empty_queue,
    nothing_starts,
    queue,
    submit,
    wait_for_state,
    wait_until,
)

pytestmark = pytest.mark.slow

SLEEP = "sleep 600"


@pytest.fixture(
    params=["slurm_cluster", "slurm_cluster_without_accounting"],
    ids=["accounting", "no accounting"],
)
def testbed(request: pytest.FixtureRequest) -> Testbed:
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Testbed)
    return chosen


@pytest.mark.parametrize("name", FATES)
@pytest.mark.parametrize("cluster", ["accounting", "no accounting"])
def test_squeue_names_the_end_of_a_job(
    watched: dict[str, Watched], cluster: str, name: str
) -> None:
    assert watched[cluster].named[name] == FATES[name].in_queue


@pytest.mark.parametrize("name", FATES)
def test_sacct_names_the_end_of_a_job(watched: dict[str, Watched], name: str) -> None:
    of = watched["accounting"]
    assert accounts(of.testbed, of.in_queue[name].job_id) == [FATES[name].by_accounts]


@pytest.mark.parametrize(
    "name, exit_code", [("well", "0:0"), ("badly", "7:0"), ("too large", "0:125")]
)
def test_sacct_gives_the_exit_code_with_the_signal(
    watched: dict[str, Watched], name: str, exit_code: str
) -> None:
    of = watched["accounting"]
    command = ["sacct", "--allocations", "--noheader", "--format=ExitCode"]
    said = of.testbed.run([*command, f"--jobs={of.in_queue[name].job_id}"]).stdout
    assert said.strip() == exit_code


@pytest.mark.parametrize("cluster", ["accounting", "no accounting"])
def test_the_controller_knows_all_that_ended_until_it_is_told_to_forget(
    watched: dict[str, Watched], cluster: str
) -> None:
    of = watched[cluster]
    assert {state.said_by for state in of.in_queue.values()} == {"queue"}
    # What has driven the preempted one away goes on.
    assert list(of.left.values()) == ["RUNNING"]


def test_without_accounts_sacct_refuses_to_answer(
    slurm_cluster_without_accounting: Testbed,
) -> None:
    refused = slurm_cluster_without_accounting.run(["sacct"], check=False)
    assert refused.returncode == 1
    assert "accounting storage is disabled" in refused.stderr


def test_a_suspended_job_is_named_so_and_goes_on(testbed: Testbed) -> None:
    job = submit(testbed, SLEEP)
    wait_for_state(testbed, job, "RUNNING")
    testbed.run(["scontrol", "suspend", job])
    assert queue(testbed)[job] == "SUSPENDED"
    if testbed.accounting:
        wait_until(lambda: accounts(testbed, job) == ["SUSPENDED"], "the accounts say so")
    testbed.run(["scontrol", "resume", job])
    assert queue(testbed)[job] == "RUNNING"
    empty_queue(testbed)


def test_a_job_that_may_not_run_yet_is_pending(testbed: Testbed) -> None:
    job = submit(testbed, SLEEP, "--begin=now+1hour")
    assert queue(testbed)[job] == "PENDING"
    if testbed.accounting:
        wait_until(lambda: accounts(testbed, job) == ["PENDING"], "the accounts say so")
    empty_queue(testbed)


def test_a_requeued_job_is_pending_and_its_first_run_stays_in_the_accounts(
    testbed: Testbed,
) -> None:
    job = submit(testbed, SLEEP)
    wait_for_state(testbed, job, "RUNNING")
    with nothing_starts(testbed):
        testbed.run(["scontrol", "requeue", job])
        wait_for_state(testbed, job, "PENDING")
    if testbed.accounting:
        wait_until(lambda: accounts(testbed, job)[0] == "REQUEUED", "the accounts say so")
    empty_queue(testbed)


def test_a_preempted_job_is_told_in_time_to_ask_for_another_run(
    slurm_cluster: Testbed, tmp_path: Path
) -> None:
    listens, told = tmp_path / "listens", tmp_path / "told"
    job = submit(
        slurm_cluster,
        f"trap 'touch {told}; scontrol requeue $SLURM_JOB_ID' USR2; touch {listens}; "
        "sleep 600 & wait",
        "--partition=low",
        "--signal=B:USR2@60",
    )
    wait_until(listens.exists, "the job listens")
    with nothing_starts(slurm_cluster):
        usurper = slurm_cluster.preempt(job)
        wait_for_state(slurm_cluster, job, "PENDING")
    wait_for_state(slurm_cluster, usurper, "RUNNING")
    wait_until(lambda: accounts(slurm_cluster, job)[0] == "REQUEUED", "the accounts say so")
    assert told.exists()
    empty_queue(slurm_cluster)


def test_a_node_set_down_fails_its_jobs_which_are_requeued_and_comes_back(
    testbed: Testbed,
) -> None:
    job = submit(testbed, SLEEP, "--nodelist=node2")
    wait_for_state(testbed, job, "RUNNING")
    with nothing_starts(testbed):
        testbed.down_node("node2")
        wait_for_state(testbed, job, "PENDING")
    if testbed.accounting:
        wait_until(lambda: accounts(testbed, job)[0] == "NODE_FAIL", "the accounts say so")
    testbed.wait_for_node("node2")
    empty_queue(testbed)


@pytest.mark.parametrize("node", ["node9", "login"])
def test_a_node_that_does_not_run_cannot_be_killed(slurm_cluster: Testbed, node: str) -> None:
    with pytest.raises(ValueError, match=node):
        slurm_cluster.kill_node(node)


def test_a_job_that_does_not_run_cannot_run_out_of_memory(slurm_cluster: Testbed) -> None:
    with pytest.raises(ValueError, match="4711"):
        slurm_cluster.fail_with_oom("4711")
