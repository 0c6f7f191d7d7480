from pathlib import Path

import pytest

from slurm.environment import Place
from slurm.rendezvous import meet


@pytest.mark.parametrize(
    "counts, node, on_node", [("4", 0, 4), ("4(x2),3", 1, 4), ("4(x2),3", 2, 3), ("1(x3)", 2, 1)]
)
def test_a_rank_knows_how_many_share_its_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: str, node: int, on_node: int
) -> None:
    for name, value in {
        "SLURM_JOB_ID": "7",
        "SLURMD_NODENAME": "localhost",
        "SLURM_NTASKS": "11",
        "SLURM_PROCID": "0",
        "SLURM_NODEID": str(node),
        "SLURM_STEP_TASKS_PER_NODE": counts,
        "SLURM_CPUS_PER_TASK": "6",
    }.items():
        monkeypatch.setenv(name, value)
    place = Place.current()
    assert (place.num_local_ranks, place.cpus) == (on_node, 6)
    told = meet(tmp_path / "rendezvous", place)
    assert told["LOCAL_WORLD_SIZE"] == str(on_node)


def test_outside_slurm_nobody_says_how_many_processors_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_STEP_TASKS_PER_NODE", "SLURM_NODEID"):
        monkeypatch.delenv(name, raising=False)
    place = Place.current()
    assert (place.num_local_ranks, place.cpus) == (1, None)
