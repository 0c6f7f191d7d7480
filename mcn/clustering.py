"""k-means over embeddings, and the queue of past embeddings that it clusters."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def kmeans(
    features: Float[Tensor, "rows dim"],
    *,
    clusters: int,
    initial: Float[Tensor, "clusters dim"] | None = None,
    seed: int = 0,
    spherical: bool = True,
    iterations: int = 20,
) -> tuple[Float[Tensor, "clusters dim"], Int[Tensor, " rows"]]:
    """Centroids and assignments of Lloyd's algorithm, in float32; no cluster comes out empty.

    A row that is not finite is assigned -1 and moves nothing. A cluster that runs empty starts
    anew at the row that fits its own cluster worst. `initial` keeps its numbering. Decided by
    `seed` alone, whatever the global random state.

    Args:
        features: Rows to cluster.
        clusters: How many clusters.
        initial: Centroids to start from; rows drawn by `seed` if not given.
        seed: Decides the rows drawn.
        spherical: Compare by cosine, with centroids of unit length; else by distance.
        iterations: The most updates; fewer where the assignments settle before.
    """
    finite = features.isfinite().all(dim=1)
    rows = features[finite].float()
    if len(rows) < clusters:
        raise ValueError(f"{clusters} clusters need as many finite rows, and there are {len(rows)}")
    if spherical:
        rows = F.normalize(rows, dim=1)
    if initial is None:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(rows), generator=generator)[:clusters]
        centroids = rows[drawn.to(rows.device)]
    else:
        centroids = F.normalize(initial.float(), dim=1) if spherical else initial.float()
    labels, fit = _assign(rows, centroids, spherical=spherical)
    labels = _fill_empty(labels, fit, clusters)
    for _ in range(iterations):
        centroids = _update(rows, labels, clusters, spherical=spherical)
        moved, fit = _assign(rows, centroids, spherical=spherical)
        moved = _fill_empty(moved, fit, clusters)
        if moved.equal(labels):
            break
        labels = moved
    assignments = torch.full((len(features),), -1, dtype=torch.long, device=features.device)
    assignments[finite] = labels
    return centroids, assignments


def _assign(
    rows: Tensor, centroids: Tensor, *, spherical: bool
) -> tuple[Int[Tensor, " rows"], Float[Tensor, " rows"]]:
    """Each row's best centroid, and how well it fits (higher is better)."""
    fit = rows @ centroids.T
    if not spherical:
        fit = fit - centroids.square().sum(dim=1) / 2
    best = fit.max(dim=1)
    score = best.values if spherical else best.values - rows.square().sum(dim=1) / 2
    return best.indices, score


def _update(rows: Tensor, labels: Tensor, clusters: int, *, spherical: bool) -> Tensor:
    # A product with the one-hot matrix: unlike scattered sums it is deterministic on a GPU too.
    members = F.one_hot(labels, num_classes=clusters).to(rows.dtype)
    means = members.T @ rows / members.sum(dim=0)[:, None]
    return F.normalize(means, dim=1) if spherical else means


def _fill_empty(labels: Tensor, fit: Tensor, clusters: int) -> Tensor:
    """Give every empty cluster the worst-fitting row of a cluster that can spare one."""
    counts = torch.bincount(labels, minlength=clusters)
    empty = (counts == 0).nonzero().flatten().tolist()
    if not empty:
        return labels
    labels = labels.clone()
    worst_first = iter(fit.argsort(stable=True).tolist())
    for cluster in empty:
        row = next(row for row in worst_first if counts[labels[row]] > 1)
        counts[labels[row]] -= 1
        counts[cluster] = 1
        labels[row] = cluster
    return labels


class FeatureQueue:
    """The newest `size` rows pushed, as a ring buffer: no row is ever moved."""

    def __init__(self, size: int, dim: int, *, device: torch.device | str = "cpu") -> None:
        self.rows = torch.zeros(size, dim, device=device)
        self.num_pushed = 0

    def push(self, rows: Float[Tensor, "rows dim"]) -> None:
        size = len(self.rows)
        kept = rows[-size:] if size else rows[:0]
        first = self.num_pushed + len(rows) - len(kept)
        places = torch.arange(first, first + len(kept), device=self.rows.device) % max(size, 1)
        self.rows[places] = kept.detach().to(self.rows.dtype)
        self.num_pushed += len(rows)

    def filled(self) -> Float[Tensor, "filled dim"]:
        """The rows held, in no particular order."""
        return self.rows[: min(self.num_pushed, len(self.rows))]
