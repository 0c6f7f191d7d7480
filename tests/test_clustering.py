import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.clustering import FeatureQueue, kmeans


def blobs(clusters: int, per_cluster: int, dim: int = 8) -> tuple[Tensor, Tensor]:
    """Rows around well separated directions, and the direction each belongs to."""
    centers = 10 * torch.eye(clusters, dim)
    labels = torch.arange(clusters).repeat(per_cluster)
    return centers[labels] + 0.1 * torch.randn(len(labels), dim), labels


def same_partition(left: Tensor, right: Tensor) -> bool:
    return torch.equal(left[:, None] == left[None, :], right[:, None] == right[None, :])


@pytest.mark.parametrize("spherical", [True, False])
def test_well_separated_clusters_are_found(spherical: bool) -> None:
    rows, labels = blobs(5, 20)
    initial = rows[:5]
    _, assignments = kmeans(rows, clusters=5, initial=initial, spherical=spherical)
    assert same_partition(assignments, labels)


def test_initial_centroids_keep_their_numbers() -> None:
    rows, labels = blobs(5, 20)
    _, assignments = kmeans(rows, clusters=5, initial=10 * torch.eye(5, 8))
    assert torch.equal(assignments, labels)


def test_spherical_kmeans_equals_a_plain_loop() -> None:
    rows = torch.randn(60, 6)
    initial = rows[:4]
    unit = [row / row.norm() for row in rows]
    centroids = list(initial)
    for _ in range(20):
        labels = [max(range(4), key=lambda k: float(row @ centroids[k])) for row in unit]
        members = [
            [u for u, label in zip(unit, labels, strict=True) if label == k] for k in range(4)
        ]
        centroids = [F.normalize(torch.stack(group).mean(dim=0), dim=0) for group in members]
    got, assignments = kmeans(rows, clusters=4, initial=initial, iterations=20)
    torch.testing.assert_close(got, torch.stack(centroids), atol=1e-5, rtol=1e-5)
    assert assignments.tolist() == labels


def test_no_cluster_comes_out_empty() -> None:
    rows = torch.cat((torch.ones(50, 4), torch.randn(6, 4)))
    dead = torch.full((6, 4), -1.0)
    _, assignments = kmeans(rows, clusters=6, initial=dead)
    assert torch.bincount(assignments, minlength=6).min() > 0


def test_identical_rows_still_fill_every_cluster() -> None:
    centroids, assignments = kmeans(torch.ones(10, 3), clusters=4)
    assert torch.bincount(assignments, minlength=4).min() > 0
    assert centroids.isfinite().all()


def test_a_row_that_is_not_finite_moves_nothing() -> None:
    rows, _ = blobs(3, 10)
    alone, labels = kmeans(rows, clusters=3, initial=rows[:3])
    poisoned = torch.cat((rows, torch.full((1, 8), torch.nan), torch.full((1, 8), torch.inf)))
    centroids, assignments = kmeans(poisoned, clusters=3, initial=rows[:3])
    assert torch.equal(centroids, alone)
    assert assignments.tolist() == [*labels.tolist(), -1, -1]


def test_the_seed_alone_decides() -> None:
    rows = torch.randn(100, 5)
    torch.manual_seed(1)
    first, _ = kmeans(rows, clusters=7, seed=3)
    torch.manual_seed(2)
    second, _ = kmeans(rows, clusters=7, seed=3)
    other, _ = kmeans(rows, clusters=7, seed=4)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_half_precision_rows_are_clustered_in_float32() -> None:
    rows = 300 * torch.randn(50, 64).half()
    centroids, _ = kmeans(rows, clusters=3)
    assert centroids.dtype == torch.float32
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(3))


def test_fewer_rows_than_clusters_is_an_error() -> None:
    with pytest.raises(ValueError, match="4 clusters need"):
        kmeans(torch.randn(3, 2), clusters=4)


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [1, 9, 2], [25], [10], [0, 4]])
def test_the_queue_holds_the_newest_rows(sizes: list[int]) -> None:
    queue, pushed = FeatureQueue(10, 2), torch.zeros(0, 2)
    for size in sizes:
        rows = torch.randn(size, 2)
        queue.push(rows)
        pushed = torch.cat((pushed, rows))
    held = sorted(map(tuple, queue.filled().tolist()))
    assert held == sorted(map(tuple, pushed[-10:].tolist()))
