"""A real SLURM for tests, started when the first test asks for it, and taken down at the end.

`tests/conftest.py` imports the fixtures. A test leaves the nodes up and the queue empty.
Where the packages are missing a test is skipped, unless REQUIRE_SLURM=1 says that they must not.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slurm.submit import FINAL_STATES
from slurm.testbed import MissingPackagesError, Testbed
from slurm.testbed.packages import check_packages

MAX_ARRAY_SIZE = 5
# A test that fails may take long; on a slow machine one that passes does too.
SECONDS_TO_WAIT = 600.0


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """Four nodes with accounts, MaxArraySize 5 and a grace of a minute in `low`."""
    require_slurm(accounting=True)
    folder = tmp_path_factory.mktemp("slurm")
    with Testbed(
        folder, accounting=True, max_array_size=MAX_ARRAY_SIZE, grace_seconds=60
    ) as testbed:
        yield testbed


@pytest.fixture(scope="session")
def slurm_cluster_without_accounting(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Testbed]:
    """Four nodes without accounts: `sacct` refuses to answer."""
    require_slurm(accounting=False)
    folder = tmp_path_factory.mktemp("slurm")
    with Testbed(folder, max_array_size=MAX_ARRAY_SIZE) as testbed:
        yield testbed


@pytest.fixture
def testbed(slurm_cluster: Testbed) -> Iterator[Testbed]:
    """A cluster that this process speaks to; whatever a test did, its queue is empty afterwards."""
    with speaking_to(slurm_cluster):
        yield slurm_cluster
    empty_queue(slurm_cluster)


def require_slurm(*, accounting: bool) -> None:
    """Skip the test where SLURM is not installed; fail it where the environment says it must be."""
    try:
        check_packages(accounting=accounting)
    except MissingPackagesError as error:
        if os.environ.get("REQUIRE_SLURM") == "1":
            pytest.fail(f"REQUIRE_SLURM is set, but {error}")
        pytest.skip(str(error))


@contextmanager
def speaking_to(testbed: Testbed) -> Iterator[None]:
    """Let this process, and those that it starts, ask this cluster and no other."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in testbed.environment().items():
            patch.setenv(name, value)
        yield


@contextmanager
def nothing_starts(testbed: Testbed) -> Iterator[None]:
    """Let no job in `low` start meanwhile: what is put back there is seen to wait."""
    update = ["scontrol", "update", "PartitionName=low"]
    testbed.run([*update, "State=DOWN"])
    try:
        yield
    finally:
        testbed.run([*update, "State=UP"])


def submit(testbed: Testbed, script: str, *options: str) -> str:
    """Submit a shell script as a job with its output thrown away, and return its id."""
    command = ["sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}"]
    return testbed.run(command).stdout.strip()


def queue(testbed: Testbed) -> dict[str, str]:
    """State of every job and array task that the controller still knows, by id."""
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T"]
    return dict(line.split() for line in testbed.run(command).stdout.splitlines())


def waiting(testbed: Testbed) -> list[str]:
    """Ids of jobs and tasks that are not over."""
    return [job for job, state in queue(testbed).items() if state not in FINAL_STATES]


def accounts(testbed: Testbed, job: str) -> list[str]:
    """States of all runs of a job in the accounts, the earliest first; steps are left out."""
    command = ["sacct", "--duplicates", "--allocations", "--parsable2", "--noheader"]
    lines = testbed.run([*command, f"--jobs={job}", "--format=State"]).stdout.splitlines()
    return [line.split()[0] for line in lines]  # "CANCELLED by 1000"


def children(pid: int) -> list[int]:
    """Ids of the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(is_so: Callable[[], bool], what: str, *, seconds: float = SECONDS_TO_WAIT) -> None:
    """Return as soon as it is so, and fail the test where it never is."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.1)


def wait_for_state(testbed: Testbed, job: str, state: str) -> None:
    """Return once squeue shows the job in this state."""
    wait_until(lambda: queue(testbed).get(job) == state, f"{job} is {state}")


def empty_queue(testbed: Testbed) -> None:
    """Cancel all jobs, and return when none is left on a node."""

    def is_empty() -> bool:
        left = {job: state for job, state in queue(testbed).items() if state not in FINAL_STATES}
        # Again and again, for a job that was being put back may have come back since.
        if jobs := [job for job, state in left.items() if state != "COMPLETING"]:
            testbed.run(["scancel", "--quiet", *jobs], check=False)
        return not left

    wait_until(is_empty, "the queue is empty")
