import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from mcn.choices import EngineName
from mcn.clustering.engines import ENGINES
from mcn.training.clusterer import Clusterer
from slurm.local import run_ranks

CLUSTERS = 5
EVERY_ENGINE = pytest.mark.parametrize("engine", list(ENGINES))


def clusterer(engine: EngineName = "torch", **changed: Any) -> Clusterer:
    settings: dict[str, Any] = {
        "clusters": CLUSTERS,
        "queue_size": 40,
        "dim": 8,
        "refit_every_steps": 3,
        "seed": 0,
    }
    settings |= changed
    return Clusterer(**settings, engine=engine, device=torch.device("cpu"))


def batch(step: int, clips: int = 12) -> torch.Tensor:
    return torch.randn(clips, 8, generator=torch.Generator().manual_seed(step))


def everyone(rows: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(rows), dtype=torch.bool)


def healths(of: Clusterer, steps: range) -> list[dict[str, float]]:
    found = []
    for step in steps:
        of(batch(step), everyone(batch(step)))
        found.append(of.health)
    return found


@EVERY_ENGINE
def test_health_is_told_at_a_refit_and_at_no_other_step(engine: EngineName) -> None:
    found = healths(clusterer(engine), range(8))
    names = {"clustering/empty", "clustering/entropy", "clustering/inertia"}
    assert found[0].keys() == names  # there was no assignment before
    assert found[3].keys() == found[6].keys() == names | {"clustering/nmi"}
    assert [step for step, health in enumerate(found) if health] == [0, 3, 6]


@EVERY_ENGINE
def test_health_after_a_resume_is_what_it_would_have_been(engine: EngineName) -> None:
    whole = healths(clusterer(engine), range(8))
    for killed_at in range(1, 8):
        first, second = clusterer(engine), clusterer(engine)
        healths(first, range(killed_at))
        second.load_state({name: value.clone() for name, value in first.state().items()})
        assert healths(second, range(killed_at, 8)) == whole[killed_at:]


def test_rows_that_stay_as_they_are_keep_their_clusters() -> None:
    still = clusterer(queue_size=12, refit_every_steps=1)
    rows = batch(0)
    for _ in range(3):
        still(rows, everyone(rows))
    assert still.health["clustering/nmi"] == pytest.approx(1.0)
    assert still.health["clustering/empty"] == 0


def test_rows_that_turn_elsewhere_lose_their_clusters() -> None:
    turned = clusterer(queue_size=400, refit_every_steps=1)
    rows = batch(0, 400)
    turned(rows, everyone(rows))
    rows = batch(1, 400)
    turned(rows, everyone(rows))
    assert turned.health["clustering/nmi"] < 0.8


def test_a_collapse_of_the_embeddings_shows() -> None:
    collapsed = clusterer(queue_size=100)
    rows = torch.ones(100, 8)
    collapsed(rows, everyone(rows))
    assert collapsed.health["clustering/entropy"] < 0.2
    assert collapsed.health["clustering/empty"] >= CLUSTERS - 1
    assert collapsed.health["clustering/inertia"] == pytest.approx(0, abs=1e-6)


def test_clips_that_are_not_there_have_no_target_and_are_not_taken() -> None:
    some = clusterer()
    rows, present = batch(0), torch.arange(12) < 7
    clusters = some(rows, present)
    assert clusters is not None
    assert clusters.assignments[7:].tolist() == [-1] * 5
    nearest = (F.normalize(rows[:7], dim=1) @ clusters.centroids.T).argmax(dim=1)
    assert torch.equal(clusters.assignments[:7], nearest)
    assert len(some.queue.filled()) == 7


def test_too_few_clips_have_no_clusters_yet() -> None:
    few = clusterer()
    assert few(batch(0, CLUSTERS - 1), everyone(batch(0, CLUSTERS - 1))) is None
    assert few.health == {}


def save_centroids(folder: Path, engine: EngineName) -> None:
    torch.set_num_threads(2)
    rows = torch.randn(5000, 64, generator=torch.Generator().manual_seed(0))
    own = clusterer(engine, clusters=40, dim=64, queue_size=4000, refit_every_steps=1)
    for part in rows.split(1000):
        own(part, everyone(part))
    assert own.centroids is not None
    torch.save(own.centroids, folder / f"{os.environ['RANK']}.pt")


@pytest.mark.slow
@EVERY_ENGINE
def test_ranks_compute_the_same_centroids_to_the_bit(engine: EngineName, tmp_path: Path) -> None:
    run_ranks(partial(save_centroids, tmp_path, engine), num_ranks=2)
    assert torch.equal(torch.load(tmp_path / "0.pt"), torch.load(tmp_path / "1.pt"))
