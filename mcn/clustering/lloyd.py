"""k-means by Lloyd's iterations, which are the same whatever finds the nearest centroids."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mcn.choices import EngineName
from mcn.clustering.engines import ENGINES, Engine, Nearest
from mcn.clustering.magnitude import middling_scale, normalized, unit
from mcn.clustering.seeding import spread_out
from mcn.clustering.subspace import reduce_dims

ROWS_AT_ONCE = 512

MEMBERSHIPS = 2**27
"""Numbers in the largest one-hot matrix on a GPU: half a gigabyte in single precision."""

SAMPLES = ((8, 10), (4, 5), (2, 5), (1, 10))
"""Where no centroids are given: so many iterations over one in so many rows, in few dimensions.

Small samples leave bad starts behind at a fraction of the cost of all rows.
"""

ROWS_DRAWN_FROM = 32
"""For each cluster, where no centroids are given; the first centroids are some of those rows."""

LEAST_ROWS_PER_CLUSTER = 4
"""A smaller sample is left out."""


@dataclass(frozen=True)
class Clustering:
    """What came out, and how."""

    centroids: Float[Tensor, "clusters dim"]
    assignments: Int[Tensor, " rows"]
    """-1 for rows that are not finite."""
    first_assignments: Int[Tensor, " rows"]
    """To the centroids that were given, or else drawn."""
    num_reseeded: int
    """How often a cluster that ran empty got a new start, in all iterations over all rows."""
    inertia: float
    """Mean squared distance of a row from its centroid."""


def kmeans(
    features: Float[Tensor, "rows dim"],
    *,
    clusters: int,
    initial: Float[Tensor, "clusters dim"] | None = None,
    seed: int = 0,
    spherical: bool = True,
    iterations: int = 20,
    engine: EngineName = "torch",
) -> tuple[Float[Tensor, "clusters dim"], Int[Tensor, " rows"]]:
    """Centroids and assignments of Lloyd's algorithm; no cluster comes out empty.

    In float64 for rows in float64, else in float32; in which faiss compares in any case. Rows of
    any finite size do. A row that is not finite is assigned -1 and moves nothing. A cluster that
    runs empty starts anew at the row that fits its own cluster worst. `initial` keeps its
    numbering. Decided by `seed` alone, whatever the global random state.

    Args:
        features: Rows to cluster.
        clusters: How many clusters.
        initial: Centroids to start from; found on samples drawn by `seed` if not given.
        seed: Decides the rows drawn.
        spherical: Compare by cosine, with centroids of unit length; else by distance.
        iterations: The most updates over all rows; fewer where the assignments settle before.
        engine: What finds the nearest centroids.

    Raises:
        ValueError: Fewer finite rows than clusters, no cluster at all, initial centroids that are
            not finite or not of as many rows and columns as is needed, or an engine that is not
            installed.
    """
    found = cluster(
        features,
        clusters=clusters,
        initial=initial,
        seed=seed,
        spherical=spherical,
        iterations=iterations,
        engine=ENGINES[engine],
    )
    return found.centroids, found.assignments


@torch.no_grad()
def cluster(
    features: Float[Tensor, "rows dim"],
    *,
    clusters: int,
    initial: Float[Tensor, "clusters dim"] | None,
    seed: int,
    spherical: bool = True,
    iterations: int = 20,
    engine: Engine,
) -> Clustering:
    """As `kmeans`, with what tells how it went. Asks `engine` anew for each set of rows, and no
    longer for the one before.
    """
    if clusters < 1:
        raise ValueError(f"{clusters} clusters: at least one is needed")
    finite = finite_rows(features)
    rows = (features if finite.all() else features[finite]).to(_precision(features))
    if len(rows) < clusters:
        raise ValueError(f"{clusters} clusters need as many finite rows, and there are {len(rows)}")
    if initial is not None:
        initial = _checked(initial.to(rows.dtype), clusters=clusters, dim=rows.shape[1])
    scale = 1.0
    # Even where all around it is autocast to half precision.
    with torch.autocast(rows.device.type, enabled=False):
        if spherical:
            rows = unit(rows)
        elif (scale := middling_scale(rows, initial)) != 1:
            rows = rows * scale
        if initial is None:
            centroids = _begin(rows, clusters, seed, spherical, engine)
        else:
            centroids = normalized(initial) if spherical else initial * scale
        nearest = engine(rows, spherical=spherical)
        first = nearest(centroids)
        centroids, labels, num_reseeded = _iterate(
            rows, first, centroids, nearest, iterations=iterations, spherical=spherical
        )
        inertia = float(_squared_distances(rows, centroids, labels).mean()) / scale / scale

    def for_all(labels: Tensor) -> Tensor:
        everywhere = torch.full((len(features),), -1, dtype=torch.long, device=features.device)
        everywhere[finite] = labels
        return everywhere

    return Clustering(centroids / scale, for_all(labels), for_all(first), num_reseeded, inertia)


def finite_rows(features: Float[Tensor, "rows dim"]) -> Bool[Tensor, " rows"]:
    """Which rows hold nothing but finite numbers, in the precision of `kmeans`."""
    # A sum is not finite if a number is not; where large numbers make it so, look at each.
    finite = features.sum(dim=1, dtype=_precision(features)).isfinite()
    suspects = (~finite).nonzero().flatten()
    finite[suspects] = features[suspects].isfinite().all(dim=1)
    return finite


def _precision(features: Tensor) -> torch.dtype:
    return torch.promote_types(features.dtype, torch.float32)


def _checked(initial: Tensor, *, clusters: int, dim: int) -> Float[Tensor, "clusters dim"]:
    if initial.shape != (clusters, dim):
        raise ValueError(
            f"initial centroids are of shape {tuple(initial.shape)}, and {clusters} clusters of "
            f"rows of {dim} numbers need {(clusters, dim)}"
        )
    if not initial.isfinite().all():
        raise ValueError("initial centroids are not finite: leave them out for new ones")
    return initial


def _begin(rows: Tensor, clusters: int, seed: int, spherical: bool, engine: Engine) -> Tensor:
    """Centroids from rows far apart drawn by `seed`, moved by iterations over samples that grow.

    Those are by distance and in the subspace of most variance, where an iteration costs next to
    nothing and the same rows are near to each other. The last labels give centroids of the rows.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(rows), generator=generator).to(rows.device)
    reduced = reduce_dims(rows, drawn)
    centroids = spread_out(reduced[drawn[: ROWS_DRAWN_FROM * clusters]], clusters, generator)
    for one_in, iterations in SAMPLES:
        size = len(rows) // one_in
        if size >= LEAST_ROWS_PER_CLUSTER * clusters or one_in == 1:
            sample = reduced if one_in == 1 else reduced[drawn[:size]]
            nearest = engine(sample, spherical=False)
            centroids, labels, _ = _iterate(
                sample,
                nearest(centroids),
                centroids,
                nearest,
                iterations=iterations,
                spherical=False,
            )
    means = _means(rows, labels, clusters)
    return F.normalize(means, dim=1) if spherical else means


def _iterate(
    rows: Tensor,
    labels: Tensor,
    centroids: Tensor,
    nearest: Nearest,
    *,
    iterations: int,
    spherical: bool,
) -> tuple[Tensor, Tensor, int]:
    """Centroids, labels and how many clusters were reseeded on the way."""
    labels, num_reseeded = _fill_empty(rows, labels, centroids)
    for _ in range(iterations):
        centroids = _means(rows, labels, len(centroids))
        if spherical:
            centroids = F.normalize(centroids, dim=1)
        moved, num_empty = _fill_empty(rows, nearest(centroids), centroids)
        num_reseeded += num_empty
        if moved.equal(labels):
            break
        labels = moved
    return centroids, labels, num_reseeded


def _means(rows: Tensor, labels: Tensor, clusters: int) -> Float[Tensor, "clusters dim"]:
    counts = torch.bincount(labels, minlength=clusters)[:, None]
    if rows.device.type == "cpu":
        sums = rows.new_zeros(clusters, rows.shape[1]).index_add_(0, labels, rows)
    else:
        sums = _sums_by_products(rows, labels, clusters, rows_at_once=MEMBERSHIPS // clusters + 1)
    return sums / counts


def _sums_by_products(
    rows: Tensor, labels: Tensor, clusters: int, *, rows_at_once: int
) -> Float[Tensor, "clusters dim"]:
    """On a GPU scattered sums come in any order; products with one-hot matrices do not."""
    numbers = torch.arange(clusters, device=labels.device)[:, None]
    sums = rows.new_zeros(clusters, rows.shape[1])
    for part, own in zip(rows.split(rows_at_once), labels.split(rows_at_once), strict=True):
        sums.addmm_((own == numbers).to(rows.dtype), part)
    return sums


def _fill_empty(rows: Tensor, labels: Tensor, centroids: Tensor) -> tuple[Tensor, int]:
    """Give every empty cluster the worst-fitting row of a cluster that can spare one."""
    counts = torch.bincount(labels, minlength=len(centroids))
    empty = (counts == 0).nonzero().flatten().tolist()
    if not empty:
        return labels, 0
    distances = _squared_distances(rows, centroids, labels)
    worst_first = iter(distances.argsort(descending=True, stable=True).tolist())
    filled, sizes = labels.tolist(), counts.tolist()
    for new in empty:
        row = next(row for row in worst_first if sizes[filled[row]] > 1)
        sizes[filled[row]] -= 1
        sizes[new] = 1
        filled[row] = new
    return torch.tensor(filled, device=labels.device), len(empty)


def _squared_distances(rows: Tensor, centroids: Tensor, labels: Tensor) -> Float[Tensor, " rows"]:
    """From each row to its centroid."""
    parts = zip(rows.split(ROWS_AT_ONCE), labels.split(ROWS_AT_ONCE), strict=True)
    return torch.cat([(part - centroids[own]).square_().sum(dim=1) for part, own in parts])
