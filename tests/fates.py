"""One task for each way to end, on a real SLURM, and what became of each."""

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slurm.controller import squeue
from slurm.states.accounts import sacct
from slurm.states.judgement import GONE, TaskState, task_states
from slurm.submission import StepFolder
from slurm.submit import submit
from slurm.testbed import Testbed
from tests.slurm_cluster import empty_queue, queue, speaking_to, wait_until
from tests.submissions import LIGHT, manifest_of

SHARD = 42
SLEEP = "exec sleep 600"
# Passes over what SLURM sends before it kills.
DEAF = "trap '' USR2 TERM; exec sleep 600"


@dataclass(frozen=True)
class Fate:
    """What a task runs, and what is done to it once it has begun."""

    script: str
    in_queue: str
    """Its last state that the queue shows."""
    by_accounts: str
    """Its state once the queue has forgotten it, where there are accounts."""
    by_itself: tuple[str, str]
    """And where there are none: the state, and who says so."""
    cause: str
    sbatch: dict[str, str] = field(default_factory=lambda: {"nodelist": "node1"})
    strike: Callable[[Testbed, str], object] = lambda testbed, job: None


def cancel(testbed: Testbed, job: str) -> None:
    testbed.run(["scancel", job])


def kill_its_node(testbed: Testbed, job: str) -> None:
    testbed.run(["scontrol", "update", f"JobId={job}", "Requeue=0"])
    testbed.kill_node("node4")


FATES = {
    "well": Fate("exit 0", "COMPLETED", "COMPLETED", ("COMPLETED", "marker"), ""),
    "badly": Fate("echo KeyError; exit 7", "FAILED", "FAILED", ("FAILED", "marker"), "code"),
    "killed": Fate("kill -9 $$", "FAILED", "FAILED", ("FAILED", "marker"), "no word"),
    "cancelled": Fate(
        SLEEP, "CANCELLED", "CANCELLED", ("CANCELLED", "log"), "cancelled", strike=cancel
    ),
    "too long": Fate(
        DEAF,
        "TIMEOUT",
        "TIMEOUT",
        ("TIMEOUT", "log"),
        "time limit",
        {"nodelist": "node2"},
        Testbed.run_out_of_time,
    ),
    # The testbed has no cgroups, and nobody else writes a word of it.
    "too large": Fate(
        SLEEP,
        "OUT_OF_MEMORY",
        "OUT_OF_MEMORY",
        (GONE, "marker"),
        "out of memory",
        {"nodelist": "node2"},
        Testbed.fail_with_oom,
    ),
    "preempted": Fate(
        DEAF,
        "PREEMPTED",
        "PREEMPTED",
        ("PREEMPTED", "log"),
        "preempted",
        {"nodelist": "node3", "partition": "lowc"},
        Testbed.preempt,
    ),
    # A node without power writes nothing.
    "node dead": Fate(
        SLEEP,
        "NODE_FAIL",
        "NODE_FAIL",
        (GONE, "marker"),
        "node",
        {"nodelist": "node4"},
        kill_its_node,
    ),
}


class Watched:
    """One task for each fate, submitted to a testbed, struck when it has begun, and watched."""

    def __init__(self, testbed: Testbed, folder: Path) -> None:
        self.testbed = testbed
        self.steps = {name: StepFolder(folder / name) for name in FATES}
        self.in_queue: dict[str, TaskState] = {}
        """The last state of each while the queue knew it: how it ended, once all have."""
        self.named: dict[str, str] = {}
        """What squeue itself calls that state."""
        self.left: dict[str, str] = {}
        """States of what squeue shows once the queue has forgotten them."""
        self.afterwards: dict[str, TaskState] = {}
        """Its state once the queue had forgotten it."""
        self.submitted_at = time.time()
        self._to_strike = set(FATES)
        with speaking_to(testbed):
            for name, step in self.steps.items():
                resources = dataclasses.replace(LIGHT, sbatch=FATES[name].sbatch)
                command = ("sh", "-c", FATES[name].script)
                submit(step, manifest_of(step, command, [SHARD], resources=resources))

    def all_have_ended(self) -> bool:
        """Whether the queue, which forgets nothing meanwhile, shows of each how it ended."""
        self.in_queue = self._states()
        for name in list(self._to_strike):
            state = self.in_queue[name]
            if state.state == "RUNNING" and has_begun(self.steps[name]):
                self._to_strike.remove(name)
                FATES[name].strike(self.testbed, state.job_id)
        return not any(state.is_live for state in self.in_queue.values())

    def note_names(self) -> None:
        """Keep what squeue calls the end of each."""
        states = queue(self.testbed)
        self.named = {name: states[state.job_id] for name, state in self.in_queue.items()}

    def forget(self) -> None:
        """Let the queue forget them, and keep what it knows then."""
        self.testbed.forget_ended_jobs()
        self.left = queue(self.testbed)

    def are_known_still(self) -> bool:
        """Whether the accounts, where there are any, know all that the queue has forgotten."""
        self.afterwards = self._states()
        said_by = {state.said_by for state in self.afterwards.values()}
        return said_by == {"accounts"} or not self.testbed.accounting

    def _states(self) -> dict[str, TaskState]:
        with speaking_to(self.testbed):
            queue, accounts = squeue(), sacct(job_ids(*self.steps.values()))
            return {
                name: task_states(step, queue, accounts.known if accounts else None)[SHARD]
                for name, step in self.steps.items()
            }


def job_ids(*steps: StepFolder) -> list[str]:
    return [job for step in steps for s in step.submissions() for job in s.task_ids().values()]


def has_begun(step: StepFolder) -> bool:
    return step.submissions()[-1].marker(SHARD).exists()


@pytest.fixture(scope="session")
def watched(
    slurm_cluster: Testbed,
    slurm_cluster_without_accounting: Testbed,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Watched]:
    """All fates on both clusters at once, for the controller looks at time limits every 30 s.

    What befell them is looked at by the tests of the testbed, and by those of its users.
    """
    both = {
        "accounting": Watched(slurm_cluster, tmp_path_factory.mktemp("logs")),
        "no accounting": Watched(slurm_cluster_without_accounting, tmp_path_factory.mktemp("logs")),
    }
    try:
        wait_until(
            lambda: {watched.all_have_ended() for watched in both.values()} == {True},
            "every task has ended",
        )
        for watched in both.values():
            watched.note_names()
        with ThreadPoolExecutor() as threads:  # the controllers take ten seconds each
            list(threads.map(Watched.forget, both.values()))
        for watched in both.values():
            wait_until(watched.are_known_still, "the accounts know every task")
    finally:
        for watched in both.values():
            watched.testbed.restart_node("node4")
            empty_queue(watched.testbed)
    return both
