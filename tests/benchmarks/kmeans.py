"""k-means beside scikit-learn and fast-pytorch-kmeans, on the processor, by processor time.

As many iterations: all start from the same rows and are Lloyd's algorithm, so they should reach the
same inertia, which is shown. To equal inertia: the peers are as before, which for
fast-pytorch-kmeans is its default, and ours begins as it does by default, which brings it below all
of them without an iteration over all rows. scikit-learn's default is k-means++ and is left out: its
start alone takes longer than everything else here together.

Neither kind of rows has clusters, so that nothing settles early. Where the variance falls, more
rows lie so close to two centroids that bfloat16 cannot tell. Every contender runs once, after a
small warm-up: together they take minutes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.choices import EngineName
from mcn.clustering import kmeans
from tests.benchmarks.peers import Peers
from tests.benchmarks.result import Result, cpu_durations
from tests.benchmarks.timing import Timing, take_turns

ITERATIONS = 10
OURS = "mcn kmeans"
OURS_ANEW = "mcn kmeans, its own start"
ITERATIONS_ANEW = 0
HIDDEN_DIM = 64

Fit = Callable[[Tensor, Tensor], Tensor]
"""Centroids after all iterations, from rows and the centroids to begin with."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is clustered."""

    rows: int
    dim: int
    clusters: int


# The publication's queue and batch.
FULL = Size(rows=45_056, dim=6144, clusters=256)
QUICK = Size(rows=2048, dim=256, clusters=32)


def measure(*, quick: bool) -> list[Result]:
    """Seconds of processor time for as many iterations, and to equal inertia."""
    size = QUICK if quick else FULL
    makers = {
        "hidden variables": _rows_of_hidden_variables,
        "falling variance": _rows_that_fall_off,
    }
    results = []
    for kind, make in makers.items():
        _fit_all(make(QUICK), QUICK)  # warms up
        results += _compare(kind, make(size), size)
    return results


def _compare(kind: str, rows: Tensor, size: Size) -> list[Result]:
    timings, inertias, left_out = _fit_all(rows, size)
    same_start = {name: timing for name, timing in timings.items() if name != OURS_ANEW}
    peers = {name: timing for name, timing in timings.items() if not name.startswith("mcn")}
    shape = f"{size.rows:,} rows x {size.dim} float32, k = {size.clusters}, by distance"
    how = f"once, {torch.get_num_threads()} threads; processor time of all of them"
    return [
        _result(
            f"k-means, {kind}, {ITERATIONS} iterations",
            f"{shape}, from the same rows; {how}; inertia as a multiple of ours",
            same_start,
            inertias,
            left_out,
        ),
        _result(
            f"k-means, {kind}, equal inertia",
            f"{shape}; ours with {ITERATIONS_ANEW} iterations over all rows, the peers as above; "
            f"{how}; inertia as a multiple of ours: above 1 the peer is not yet there",
            {OURS_ANEW: timings[OURS_ANEW], **peers},
            inertias,
            left_out,
        ),
    ]


def _fit_all(rows: Tensor, size: Size) -> tuple[dict[str, Timing], dict[str, float], list[str]]:
    """Times and inertias by contender, and who is missing."""
    fits, peers = _contenders()
    initial = rows[: size.clusters].clone()
    found: dict[str, Tensor] = {}

    def run(name: str, fit: Fit) -> None:
        found[name] = fit(rows, initial)

    runs = {name: partial(run, name, fit) for name, fit in fits.items()}
    timings = take_turns(runs, rounds=1, warm_up_rounds=0)
    inertias = {name: _inertia(rows, centroids) for name, centroids in found.items()}
    return timings, inertias, peers.left_out


def _contenders() -> tuple[dict[str, Fit], Peers]:
    peers = Peers()
    fits: dict[str, Fit] = {OURS: partial(_ours, "torch"), OURS_ANEW: _ours_anew}
    if peers.module("faiss", way_out="pip install faiss-gpu"):
        fits["mcn kmeans, engine faiss"] = partial(_ours, "faiss")
    if fast := peers.module("fast_pytorch_kmeans"):
        fits["fast-pytorch-kmeans"] = partial(_fast_pytorch_kmeans, fast)
    if sklearn := peers.module("sklearn.cluster"):
        fits["scikit-learn KMeans"] = partial(_scikit_learn, sklearn)
    return fits, peers


def _result(
    title: str,
    measured: str,
    timings: Mapping[str, Timing],
    inertias: Mapping[str, float],
    left_out: list[str],
) -> Result:
    ours = next(iter(timings))
    notes = {name: f"inertia {inertias[name] / inertias[ours]:.5f}" for name in timings}
    rows = cpu_durations(timings, notes=notes)
    return Result(title=title, measured=measured, rows=rows, left_out=left_out)


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


def _ours_anew(rows: Tensor, initial: Tensor) -> Tensor:
    centroids, _ = kmeans(rows, clusters=len(initial), spherical=False, iterations=ITERATIONS_ANEW)
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


def _rows_of_hidden_variables(size: Size) -> Tensor:
    """Rows of unit length that a layer makes of few hidden variables and noise: no clusters."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(size.rows, HIDDEN_DIM, generator=generator)
    weights = torch.randn(HIDDEN_DIM, size.dim, generator=generator) / HIDDEN_DIM**0.5
    noise = torch.randn(size.rows, size.dim, generator=generator)
    return F.normalize(F.relu(hidden @ weights + 0.3 * noise), dim=1)


def _rows_that_fall_off(size: Size) -> Tensor:
    """Rows of unit length whose spread falls as one over the dimension: no clusters."""
    generator = torch.Generator().manual_seed(0)
    spread = 1 / torch.arange(1, size.dim + 1)
    return F.normalize(torch.randn(size.rows, size.dim, generator=generator) * spread, dim=1)
