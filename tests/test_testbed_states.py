"""Every state of a job can be forced on the testbed, and SLURM's own commands name it so."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slurm.testbed import Testbed
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
# Passes over what SLURM sends before it kills.
DEAF = "trap '' USR2 TERM; while true; do sleep 1; done"


@dataclass(frozen=True)
class Fate:
    """A job, and what is done to it as soon as it runs."""

    script: str
    options: list[str] = field(default_factory=list)
    strike: Callable[[Testbed, str], object] = lambda testbed, job: None


FATES = {
    "COMPLETED": Fate("exit 0"),
    "FAILED": Fate("exit 7"),
    "CANCELLED": Fate(SLEEP, strike=lambda testbed, job: testbed.run(["scancel", job])),
    "TIMEOUT": Fate(SLEEP, strike=Testbed.run_out_of_time),
    "OUT_OF_MEMORY": Fate(SLEEP, strike=Testbed.fail_with_oom),
    "PREEMPTED": Fate(DEAF, ["--partition=lowc", "--nodelist=node3"], strike=Testbed.preempt),
    "NODE_FAIL": Fate(
        SLEEP,
        ["--no-requeue", "--nodelist=node4"],
        strike=lambda testbed, job: testbed.kill_node("node4"),
    ),
}


class Watched:
    """One job for each fate on a testbed, struck when it runs, and the last state it showed."""

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed
        self.jobs = {
            end: submit(testbed, fate.script, *fate.options) for end, fate in FATES.items()
        }
        self.last_states: dict[str, str] = {}
        self._to_strike = set(FATES)

    def all_have_ended(self) -> bool:
        states = queue(self.testbed)
        for end, job in self.jobs.items():
            if job in states:
                self.last_states[end] = states[job]
            if states.get(job) == "RUNNING" and end in self._to_strike:
                self._to_strike.remove(end)
                FATES[end].strike(self.testbed, job)
        return not {"PENDING", "RUNNING", "COMPLETING"} & set(self.last_states.values())


@pytest.fixture(scope="module")
def watched(
    slurm_cluster: Testbed, slurm_cluster_without_accounting: Testbed
) -> dict[str, Watched]:
    """All fates on both testbeds at once, for the controller looks at time limits every 30 s."""
    both = {
        "accounting": Watched(slurm_cluster),
        "no accounting": Watched(slurm_cluster_without_accounting),
    }
    wait_until(
        lambda: {watched.all_have_ended() for watched in both.values()} == {True},
        "every job ends",
    )
    for watched in both.values():
        watched.testbed.restart_node("node4")
        empty_queue(watched.testbed)
    return both


@pytest.fixture(
    params=["slurm_cluster", "slurm_cluster_without_accounting"],
    ids=["accounting", "no accounting"],
)
def testbed(request: pytest.FixtureRequest) -> Testbed:
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Testbed)
    return chosen


@pytest.mark.parametrize("end", FATES)
@pytest.mark.parametrize("cluster", ["accounting", "no accounting"])
def test_squeue_names_the_end_of_a_job(watched: dict[str, Watched], cluster: str, end: str) -> None:
    assert watched[cluster].last_states[end] == end


@pytest.mark.parametrize("end", FATES)
def test_sacct_names_the_end_of_a_job(watched: dict[str, Watched], end: str) -> None:
    of = watched["accounting"]
    wait_until(lambda: accounts(of.testbed, of.jobs[end]) == [end], f"the accounts say {end}")


@pytest.mark.parametrize(
    "end, exit_code", [("COMPLETED", "0:0"), ("FAILED", "7:0"), ("OUT_OF_MEMORY", "0:125")]
)
def test_sacct_gives_the_exit_code_with_the_signal(
    watched: dict[str, Watched], end: str, exit_code: str
) -> None:
    of = watched["accounting"]
    command = ["sacct", "--allocations", "--noheader", "--format=ExitCode"]
    said = of.testbed.run([*command, f"--jobs={of.jobs[end]}"]).stdout
    assert said.strip() == exit_code


@pytest.mark.parametrize("cluster", ["accounting", "no accounting"])
def test_the_controller_forgets_what_has_ended_when_told_and_nothing_before(
    watched: dict[str, Watched], cluster: str
) -> None:
    of = watched[cluster]
    going_on = submit(of.testbed, SLEEP)
    wait_for_state(of.testbed, going_on, "RUNNING")
    assert set(of.jobs.values()) <= queue(of.testbed).keys()
    of.testbed.forget_ended_jobs()
    assert queue(of.testbed) == {going_on: "RUNNING"}
    ended = submit(of.testbed, "exit 0")
    wait_for_state(of.testbed, ended, "COMPLETED")
    empty_queue(of.testbed)


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
    told = tmp_path / "told"
    job = submit(
        slurm_cluster,
        f"trap 'touch {told}; scontrol requeue $SLURM_JOB_ID' USR2; sleep 600 & wait",
        "--partition=low",
        "--signal=B:USR2@60",
    )
    wait_for_state(slurm_cluster, job, "RUNNING")
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
