"""Training on the nodes of a real SLURM: as many processes as GPUs, stopped and started again."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mcn.root import REPOSITORY
from mcn.training.checkpoint import load_checkpoint
from mcn.training.run_folder import RunFolder, read_metrics
from slurm.environment import STOPPED_EARLY
from slurm.marker import Event, read_events
from slurm.submission import StepFolder
from slurm.testbed import Testbed
from tests.slurm_cluster import children, empty_queue, speaking_to, wait_until
from tests.stores import write_stores

pytestmark = pytest.mark.slow

SIZES = {
    "stage": "AV_T",
    "batch-size": 8,
    "clips-per-video": 4,
    "stage1-epochs": 12,
    "stage2-epochs": 8,
    "embedding-dim": 32,
    "reconstruction-dim": 16,
    "min-clip-seconds": 2.0,
    "clusters": 6,
    "queue-size": 64,
    "refit-every-steps": 5,
}


def train(root: Path, run: str, *options: str) -> None:
    command = [sys.executable, str(REPOSITORY / "jobs" / "train.py"), "--root", str(root)]
    sizes = [word for name, value in SIZES.items() for word in (f"--{name}", str(value))]
    place = ["--run", run, "--cpus-per-task", "1", "--device", "cpu", *options]
    done = subprocess.run([*command, *sizes, *place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def events(root: Path, run: str) -> list[Event]:
    (submission,) = StepFolder(root / "logs" / f"train-{run}").submissions()
    return read_events(submission.marker(0))


def wait_for_end(root: Path, run: str) -> None:
    wait_until(
        lambda: any(e.kind == "ended" and e.status != STOPPED_EARLY for e in events(root, run)),
        f"{run} is trained",
    )


@pytest.fixture(scope="module")
def root(slurm_cluster: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same run trained by one process, by 2 x 2 on SLURM, and by 2 x 2 that were preempted."""
    root = tmp_path_factory.mktemp("root")
    write_stores(root / "store")
    four = ("--gpus", "4", "--gpus-per-node", "2", "--cluster", "slurm")
    with speaking_to(slurm_cluster):
        train(root, "one", "--cluster", "debug")
        train(root, "four", *four, "--sbatch", "nodelist", "node1,node2")
        train(root, "preempted", *four, "--sbatch", "nodelist", "node3,node4")
        step = random.randrange(5, 30)
        preempted = RunFolder(root / "runs" / "preempted")
        wait_until(
            lambda: any(row["step"] >= step for row in read_metrics(preempted.metrics)),
            f"step {step} is done",
        )
        (first,) = children(events(root, "preempted")[-1].pid)
        os.kill(first, signal.SIGSTOP)  # and all wait for it, so that it does not end before
        (submission,) = StepFolder(root / "logs" / "train-preempted").submissions()
        other = slurm_cluster.preempt(submission.task_ids()[0])
        wait_until(
            lambda: any(event.kind == "signalled" for event in events(root, "preempted")),
            "the first rank is told",
        )
        os.kill(first, signal.SIGCONT)
        wait_until(lambda: events(root, "preempted")[-1].kind == "ended", "every rank has left")
        slurm_cluster.run(["scancel", other])
        for run in ("four", "preempted"):
            wait_for_end(root, run)
        yield root
        empty_queue(slurm_cluster)


def test_two_nodes_of_two_processes_train_what_one_process_trains(root: Path) -> None:
    one, four = (load_checkpoint(RunFolder(root / "runs" / run).final) for run in ("one", "four"))
    assert one.meta["step"] >= 50
    assert four.meta == one.meta
    for name, value in one.part("model").items():
        torch.testing.assert_close(four.part("model")[name], value, rtol=0, atol=1e-5)


def test_every_process_of_every_node_took_part(root: Path) -> None:
    logs = root / "logs" / "train-four"
    nodes = [
        (logs / f"rank{rank}.log").read_text().split(" on ")[1].split()[0] for rank in range(4)
    ]
    assert nodes == ["node1", "node1", "node2", "node2"]


def test_a_preempted_run_has_the_bits_of_one_left_alone(root: Path) -> None:
    ends = [event.status for event in events(root, "preempted") if event.kind == "ended"]
    assert ends == [STOPPED_EARLY, 0]
    for rank in range(4):
        log = (root / "logs" / "train-preempted" / f"rank{rank}.log").read_text()
        assert log.count("asked to stop, saved at step") == 1
    four, preempted = (RunFolder(root / "runs" / run) for run in ("four", "preempted"))
    assert preempted.final.read_bytes() == four.final.read_bytes()
    assert preempted.metrics.read_bytes() == four.metrics.read_bytes()
