"""k-means beside scikit-learn and fast-pytorch-kmeans, on the processor.

All start from the same centroids and are Lloyd's algorithm, so that with as many iterations they
should reach the same inertia; it is shown, as a multiple of ours. The features have no clusters, so
that nothing settles early. A last row of ours gets no centroids, draws rows and begins on samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.clustering import kmeans
from mcn.clustering.engines import EngineName
from tests.benchmarks.peers import Peers
from tests.benchmarks.result import Result, durations
from tests.benchmarks.timing import Timing, ratio, take_turns

ITERATIONS = 10
OURS = "mcn kmeans"
PASSES_AFTER_SAMPLES = 4
HIDDEN_DIM = 64

Fit = Callable[[Tensor, Tensor], Tensor]
"""Centroids after all iterations, from rows and the centroids to begin with."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is clustered."""

    rows: int
    dim: int
    clusters: int
    rounds: int


# The publication's queue and batch; all contenders together take minutes a round.
FULL = Size(rows=45_056, dim=6144, clusters=256, rounds=2)
QUICK = Size(rows=2048, dim=256, clusters=32, rounds=2)


def measure(*, quick: bool) -> list[Result]:
    """Seconds for the iterations, and the inertia reached."""
    size = QUICK if quick else FULL
    peers = Peers()
    fits: dict[str, Fit] = {OURS: partial(_ours, "torch")}
    if peers.module("faiss", way_out="pip install faiss-gpu"):
        fits["mcn kmeans, engine faiss"] = partial(_ours, "faiss")
    if sklearn := peers.module("sklearn.cluster"):
        fits["scikit-learn KMeans"] = partial(_scikit_learn, sklearn)
    if fast := peers.module("fast_pytorch_kmeans"):
        fits["fast-pytorch-kmeans"] = partial(_fast_pytorch_kmeans, fast)
    fits[f"mcn kmeans, samples and then {PASSES_AFTER_SAMPLES} iterations"] = _ours_after_samples
    rows = _embedding_like_rows(size)
    initial = rows[: size.clusters].clone()
    inertias = {name: _inertia(rows, fit(rows, initial)) for name, fit in fits.items()}
    timings = take_turns(
        {name: partial(fit, rows, initial) for name, fit in fits.items()}, rounds=size.rounds
    )
    measured = (
        f"{size.rows:,} rows x {size.dim} float32, k = {size.clusters}, {ITERATIONS} iterations "
        f"by distance, inertia as a multiple of ours; {size.rounds} rounds, "
        f"{torch.get_num_threads()} threads, processor time of all of them"
    )
    rows_of_table = durations(timings, notes=_notes(timings, inertias))
    return [Result(title="k-means", measured=measured, rows=rows_of_table, left_out=peers.left_out)]


def _notes(timings: Mapping[str, Timing], inertias: Mapping[str, float]) -> dict[str, str]:
    cpu = {name: timing.cpu_seconds for name, timing in timings.items()}
    return {
        name: f"inertia {inertias[name] / inertias[OURS]:.5f}, processor {median(cpu[name]):.3g} s "
        f"(ratio {ratio(cpu[OURS], cpu[name]).median:.2f})"
        for name in timings
    }


def _ours(engine: EngineName, rows: Tensor, initial: Tensor) -> Tensor:
    centroids, _ = kmeans(
        rows,
        clusters=len(initial),
        initial=initial,
        spherical=False,
        iterations=ITERATIONS,
        engine=engine,
    )
    return centroids


def _ours_after_samples(rows: Tensor, initial: Tensor) -> Tensor:
    centroids, _ = kmeans(
        rows, clusters=len(initial), spherical=False, iterations=PASSES_AFTER_SAMPLES
    )
    return centroids


def _scikit_learn(cluster: Any, rows: Tensor, initial: Tensor) -> Tensor:
    fitted = cluster.KMeans(
        len(initial), init=initial.numpy(), n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd"
    ).fit(rows.numpy())
    assert fitted.n_iter_ == ITERATIONS, "it has settled early: the comparison would not be equal"
    return torch.from_numpy(fitted.cluster_centers_)


def _fast_pytorch_kmeans(package: Any, rows: Tensor, initial: Tensor) -> Tensor:
    fitted = package.KMeans(n_clusters=len(initial), max_iter=ITERATIONS, tol=0)
    fitted.fit(rows, centroids=initial)
    centroids: Tensor = fitted.centroids
    return centroids


def _inertia(rows: Tensor, centroids: Tensor) -> float:
    """Sum of squared distances of all rows to their nearest centroid, in float64."""
    centroids = centroids.double()
    nearest = [
        torch.cdist(part, centroids).min(dim=1).values.square().sum()
        for part in rows.double().split(4096)
    ]
    return float(torch.stack(nearest).sum())


def _embedding_like_rows(size: Size) -> Tensor:
    """Rows of unit length that a layer makes of few hidden variables and noise: no clusters."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(size.rows, HIDDEN_DIM, generator=generator)
    weights = torch.randn(HIDDEN_DIM, size.dim, generator=generator) / HIDDEN_DIM**0.5
    noise = torch.randn(size.rows, size.dim, generator=generator)
    return F.normalize(F.relu(hidden @ weights + 0.3 * noise), dim=1)
