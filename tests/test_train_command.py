"""What `jobs/train.py` refuses before it trains."""

from pathlib import Path

import pytest
import torch

from jobs.train import Arguments, main
from mcn.objectives import Stage
from mcn.training.config import TrainConfig
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
