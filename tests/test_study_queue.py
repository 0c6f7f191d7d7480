"""A study that is launched again while its jobs still wait in the queue."""

from pathlib import Path

import pytest

from jobs import study
from slurm.submission import StepFolder
from tests.fake_slurm import FakeSlurm
from tests.probe_files import write_ucf101


def launch(root: Path, seeds: str) -> None:
    asked = study.Arguments(models="xdc-sdc", seeds=seeds, root=root)
    study.main(asked, ["--inputs", "clips", "--device", "cpu", "--cluster", "slurm"])


@pytest.fixture
def root(tmp_path: Path, fake_slurm: FakeSlurm) -> Path:
    """A benchmark of classes to be judged by; what to train on nobody looks for before a job."""
    root = tmp_path / "data"
    write_ucf101(root / "benchmarks" / "ucf101")
    return root


def live_table(slurm: FakeSlurm) -> str:
    states = slurm.states()
    (table,) = [job for job in slurm.named("table-study") if states[job] == "PENDING"]
    return table


def test_a_run_that_is_asked_for_later_reaches_the_table(root: Path, fake_slurm: FakeSlurm) -> None:
    launch(root, "0")
    before = live_table(fake_slurm)
    launch(root, "0")
    assert live_table(fake_slurm) == before
    launch(root, "0,1")
    table = live_table(fake_slurm)
    assert table != before
    evaluated = [fake_slurm.named(f"evaluate-xdc-sdc-clips-seed{seed}") for seed in (0, 1)]
    assert fake_slurm.dependency(table) == f"afterany:{evaluated[0][0]}:{evaluated[1][0]}"
    (submission,) = StepFolder(root / "logs" / "table-study").newest_of_each_task().values()
    assert submission.manifest.command[-3:] == (
        "--runs",
        "xdc-sdc-clips-seed0",
        "xdc-sdc-clips-seed1",
    )


def test_the_table_waits_for_a_run_that_is_launched_again(
    root: Path, fake_slurm: FakeSlurm
) -> None:
    launch(root, "0,1")
    before = live_table(fake_slurm)
    fake_slurm.set(fake_slurm.named("train-xdc-sdc-clips-seed0")[0], "FAILED")
    fake_slurm.set(fake_slurm.named("evaluate-xdc-sdc-clips-seed0")[0], "CANCELLED")
    launch(root, "0,1")
    _, evaluated = fake_slurm.named("evaluate-xdc-sdc-clips-seed0")
    (other,) = fake_slurm.named("evaluate-xdc-sdc-clips-seed1")
    assert live_table(fake_slurm) != before
    assert fake_slurm.dependency(live_table(fake_slurm)) == f"afterany:{evaluated}:{other}"
    assert fake_slurm.states()[other] == "PENDING"
