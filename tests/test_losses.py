import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.losses import cluster_loss, mms_loss


def unit_vectors(n: int, dim: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, dim, generator=generator), dim=1)


def wave(rows: int, columns: int, a: float, b: float) -> Tensor:
    """sin(a i^2 + b j + 0.5 i j): input that anyone can rebuild."""
    i = torch.arange(rows, dtype=torch.float64)[:, None]
    j = torch.arange(columns, dtype=torch.float64)[None, :]
    return torch.sin(a * i**2 + b * j + 0.5 * i * j)


@pytest.mark.parametrize(
    "margin, published", [(0.001, 3.9058548546738865), (0.0, 3.904519507728846)]
)
def test_mms_loss_is_the_published_number(margin: float, published: float) -> None:
    loss = mms_loss(3 * wave(5, 5, 0.37, 0.11), margin=margin)
    assert loss.item() == pytest.approx(published, abs=1e-6)


def test_mms_loss_equals_a_plain_loop() -> None:
    similarity, margin = unit_vectors(6, 4).double() @ unit_vectors(6, 4, seed=1).double().T, 0.2
    total = 0.0
    for matrix in (similarity.tolist(), similarity.T.tolist()):
        for i, row in enumerate(matrix):
            logits = [s - margin * (i == j) for j, s in enumerate(row)]
            total -= math.log(math.exp(logits[i]) / sum(map(math.exp, logits))) / len(matrix)
    assert mms_loss(similarity, margin=margin).item() == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("clips", [1, 2, 7])
def test_mms_loss_of_a_collapsed_model_is_chance(clips: int) -> None:
    assert mms_loss(torch.ones(clips, clips), margin=0.0).item() == pytest.approx(
        2 * math.log(clips)
    )


def test_mms_loss_prefers_aligned_clips() -> None:
    clips = unit_vectors(8, 16)
    assert mms_loss(clips @ clips.T) < mms_loss(clips @ clips.roll(1, dims=0).T)


def test_mms_loss_does_not_depend_on_the_direction() -> None:
    similarity = unit_vectors(8, 16) @ unit_vectors(8, 16, seed=1).T
    torch.testing.assert_close(mms_loss(similarity), mms_loss(similarity.T))


def test_cluster_loss_equals_a_plain_loop() -> None:
    clips, centroids = unit_vectors(6, 5).double(), unit_vectors(3, 5, seed=1).double()
    assignments = torch.tensor([0, 1, 2, 2, 1, 0])
    total = 0.0
    for clip, own in zip(clips, assignments.tolist(), strict=True):
        logits = [
            (float(clip @ centroid) - 0.001 * (k == own)) / 0.5
            for k, centroid in enumerate(centroids)
        ]
        total -= math.log(math.exp(logits[own]) / sum(map(math.exp, logits))) / 6
    loss = cluster_loss(clips, centroids, assignments, margin=0.001 / 0.5, temperature=0.5)
    assert loss.item() == pytest.approx(total, abs=1e-12)


def test_cluster_loss_is_the_published_number() -> None:
    loss = cluster_loss(
        wave(6, 5, 0.37, 0.11), wave(3, 5, 0.29, 0.23), torch.tensor([0, 1, 2, 0, 1, 2])
    )
    assert loss.item() == pytest.approx(0.7751448154449463, abs=1e-6)


def test_cluster_loss_moves_clips_and_not_centroids() -> None:
    clips = unit_vectors(8, 16).requires_grad_()
    centroids = unit_vectors(3, 16, seed=1).requires_grad_()
    cluster_loss(clips, centroids, torch.arange(8) % 3).backward()
    assert clips.grad is not None
    assert centroids.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_keep_their_precision(dtype: torch.dtype) -> None:
    assert mms_loss(torch.eye(3, dtype=dtype)).dtype == dtype
    clips = torch.eye(3, dtype=dtype)
    assert cluster_loss(clips, clips, torch.arange(3)).dtype == dtype
