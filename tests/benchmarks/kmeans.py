"""k-means beside scikit-learn and fast-pytorch-kmeans: as many iterations, from the same centroids.

All three are Lloyd's algorithm on the processor in float32, so they should reach the same inertia;
it is shown, as a multiple of ours. The features overlap so much that nothing settles early.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mcn.clustering import kmeans
from tests.benchmarks.peers import Peers
from tests.benchmarks.result import Result, durations
from tests.benchmarks.timing import take_turns

ITERATIONS = 10

Fit = Callable[[Tensor, Tensor], Tensor]
"""Centroids after all iterations, from rows and the centroids to begin with."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is clustered."""

    rows: int
    dim: int
    clusters: int
    rounds: int


# A queue of the user's has 40,960 rows of 2048; this many rows take about a minute for all.
FULL = Size(rows=16_384, dim=2048, clusters=256, rounds=3)
QUICK = Size(rows=2048, dim=256, clusters=32, rounds=2)


def measure(*, quick: bool) -> list[Result]:
    """Seconds for the iterations, and the inertia reached."""
    size = QUICK if quick else FULL
    peers = Peers()
    fits: dict[str, Fit] = {"mcn kmeans": _ours}
    if sklearn := peers.module("sklearn.cluster"):
        fits["scikit-learn KMeans"] = partial(_scikit_learn, sklearn)
    if fast := peers.module("fast_pytorch_kmeans"):
        fits["fast-pytorch-kmeans"] = partial(_fast_pytorch_kmeans, fast)
    rows = _overlapping_rows(size)
    initial = rows[: size.clusters].clone()
    inertias = {name: _inertia(rows, fit(rows, initial)) for name, fit in fits.items()}
    timings = take_turns(
        {name: partial(fit, rows, initial) for name, fit in fits.items()}, rounds=size.rounds
    )
    least = inertias["mcn kmeans"]
    notes = {name: f"inertia {value / least:.5f}" for name, value in inertias.items()}
    measured = (
        f"{size.rows:,} rows x {size.dim} float32, k = {size.clusters}, {ITERATIONS} iterations "
        f"by distance, inertia as a multiple of ours; {size.rounds} rounds, "
        f"{torch.get_num_threads()} threads"
    )
    rows_of_table = durations(timings, notes=notes)
    return [Result(title="k-means", measured=measured, rows=rows_of_table, left_out=peers.left_out)]


def _ours(rows: Tensor, initial: Tensor) -> Tensor:
    centroids, _ = kmeans(
        rows, clusters=len(initial), initial=initial, spherical=False, iterations=ITERATIONS
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


def _overlapping_rows(size: Size) -> Tensor:
    """Rows around more centres than there are clusters, with noise as large as their distance."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(4 * size.clusters, size.dim, generator=generator)
    drawn = torch.randint(len(centres), (size.rows,), generator=generator)
    return centres[drawn] + torch.randn(size.rows, size.dim, generator=generator)
