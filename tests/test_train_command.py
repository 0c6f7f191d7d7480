"""What `jobs/train.py` refuses before it trains."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobs.train import Arguments, main, parse
from mcn.objectives import Stage
from mcn.training.config import TrainConfig
from mcn.training.run_folder import RunFolder
from slurm.environment import Task
from slurm.launch import Target
from tests.submissions import LIGHT

CONFIG = TrainConfig(stage=Stage.AVT)
HERE = Target(cluster="local", resources=LIGHT)
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@without_gpu
def test_a_job_whose_gpus_torch_does_not_see_does_not_train_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(0, "cluster:7", tmp_path / "progress.json")
    for name, value in task.to_environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"torch sees no GPU on .*--gpus 0 trains on the proc"):
        main(Arguments(config=CONFIG, root=tmp_path, target=HERE))
    assert list(tmp_path.iterdir()) == []


@without_gpu
def test_more_gpus_than_the_machine_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--gpus 2: this machine has no GPUs; --gpus 0 trains"):
        main(Arguments(config=CONFIG, root=tmp_path, target=HERE, gpus=2))


def test_gpus_that_nodes_cannot_share_evenly_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--gpus 6 is no multiple of --gpus-per-node 4"):
        main(Arguments(config=CONFIG, root=tmp_path, target=HERE, gpus=6, gpus_per_node=4))


def test_a_trained_run_is_not_taken_for_another_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / CONFIG.name)
    run.claim(CONFIG, {"video": "0"})
    run.final.parent.mkdir()
    run.final.touch()
    main(Arguments(config=CONFIG, root=tmp_path, target=HERE))
    with pytest.raises(ValueError, match=r"another run \(train\.lr: 0\.0001 there, 0\.1 asked for"):
        main(Arguments(config=replace(CONFIG, lr=0.1), root=tmp_path, target=HERE))


def test_what_mcns_code_does_is_not_asked_of_mmv() -> None:
    with pytest.raises(ValueError, match="--preset published is what MCN's code does"):
        parse(["--stage", "AVT", "--model", "mmv", "--preset", "published"])
