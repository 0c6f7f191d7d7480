"""What made the published training end in NaN, and that the same inputs leave this one finite.

Each mechanism is first reproduced by the least code that has the published behaviour. Then the
default gets the same inputs: embeddings of unit length, products and softmax in float32 over a
temperature, k-means that fills empty clusters and keeps out what is not finite.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.clustering import kmeans
from mcn.data.batches import ClipBatch, ClipRows, Clips, collate
from mcn.losses import cluster_loss, mms_loss
from mcn.modality import Modality
from mcn.models.mcn import Encoded, Mcn, McnDims
from mcn.objectives import Stage
from mcn.terms import Clusters, fuse, mcn_terms

DIM = 6144
TEMPERATURE = 0.1
LOSS_SCALE = 4096  # as a gradient scaler has it, lest gradients be lost in half precision

EVERY_PRECISION = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16], ids=["fp32", "bf16", "fp16"]
)


def published_contrast(similarity: Tensor) -> Tensor:
    """MMS over raw products, in the precision that they come in."""
    logits = similarity - 0.001 * torch.eye(len(similarity), dtype=similarity.dtype)
    rows, columns = logits.log_softmax(dim=1), logits.log_softmax(dim=0)
    return -rows.diagonal().mean() - columns.diagonal().mean()


def published_unit(rows: Tensor) -> Tensor:
    unit: Tensor = rows / (rows.norm(dim=1, keepdim=True) + 1e-8)
    return unit


def published_kmeans(rows: Tensor, centroids: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Nearest by cosine, plain means by a dense product, and what is NaN becomes zero."""
    for _ in range(iterations):
        similarity = published_unit(rows) @ published_unit(centroids).T
        labels = similarity.max(dim=1).indices
        members = F.one_hot(labels, len(centroids)).T.to(rows.dtype)
        centroids = (members @ rows / members.sum(dim=1, keepdim=True)).nan_to_num()
    return centroids, labels


def default_loss(video: Tensor, audio: Tensor, centroids: Tensor, assignments: Tensor) -> Tensor:
    """Contrast and clustering of two modalities, as the model and its objective have them."""
    video, audio = (F.normalize(projected.float(), dim=1) for projected in (video, audio))
    loss = mms_loss(video @ audio.T / TEMPERATURE)
    for embeddings in (video, audio):
        loss = loss + cluster_loss(embeddings, centroids, assignments, temperature=TEMPERATURE)
    return loss


def assert_finite(loss: Tensor, *inputs: Tensor) -> None:
    """The loss and its gradients are, and the gradients reach every input."""
    (LOSS_SCALE * loss).backward()
    assert loss.isfinite()
    for tensor in inputs:
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().max() > 0


def two_modalities(clips: int, dim: int, scale: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Projected features of the same clips, alike but not equal, that learn."""
    shared = torch.randn(clips, dim)
    video, audio = (
        (scale * (shared + 0.1 * torch.randn(clips, dim))).to(dtype).requires_grad_()
        for _ in range(2)
    )
    return video, audio


# 1: products of 6,144 half-precision numbers of a root mean square above 3.27 exceed 65,504.


@pytest.mark.parametrize("rms, is_nan", [(3.0, False), (4.0, True)])
def test_published_products_overflow_in_half_precision(rms: float, is_nan: bool) -> None:
    video, audio = two_modalities(8, DIM, rms, torch.float16)
    assert published_contrast(video @ audio.T).isnan().item() == is_nan
    centroid_logits = video @ video[:3].T  # the same product, and so the same limit
    loss = F.cross_entropy(centroid_logits, torch.arange(8) % 3)
    assert loss.isnan().item() == is_nan


@EVERY_PRECISION
@pytest.mark.parametrize("rms", [4.0, 4000.0])
def test_large_features_stay_finite(dtype: torch.dtype, rms: float) -> None:
    video, audio = two_modalities(8, DIM, rms, dtype)
    centroids, assignments = kmeans(video.detach() / 2 + audio.detach() / 2, clusters=3)
    assert centroids.isfinite().all()
    assert_finite(default_loss(video, audio, centroids, assignments), video, audio)


# 2: the 1e-8 that is to keep a norm off zero is itself zero in half precision.


def test_published_normalisation_divides_by_zero_in_half_precision() -> None:
    rows = torch.randn(40, 16).half()
    centroids = torch.cat((rows[:3], torch.zeros(1, 16).half()))
    similarity = published_unit(rows) @ published_unit(centroids).T
    assert similarity[:, 3].isnan().all()
    assert similarity.max(dim=1).indices.tolist() == [3] * 40  # it takes everything
    in_float32 = published_unit(rows.float()) @ published_unit(centroids.float()).T
    assert in_float32.isfinite().all()


@EVERY_PRECISION
def test_a_zero_centroid_takes_nothing(dtype: torch.dtype) -> None:
    video, audio = two_modalities(40, 16, 1.0, dtype)
    initial = torch.cat((video[:3].detach(), torch.zeros(1, 16).to(dtype)))
    centroids, assignments = kmeans(video.detach(), clusters=4, initial=initial)
    assert torch.bincount(assignments, minlength=4).min() > 0
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(4))
    assert_finite(default_loss(video, audio, centroids, assignments), video, audio)


# 3: a cluster without members becomes the zero vector, which no row is ever nearest to.


def clusters_of_which_one_is_dead(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows that all have positive numbers only, and a centroid opposite to all of them."""
    rows = (torch.rand(60, 8) + 0.1).to(dtype)
    return rows, torch.cat((rows[:3], -torch.ones(1, 8).to(dtype)))


@pytest.mark.parametrize("iterations", [1, 2, 20])
def test_a_published_cluster_that_runs_empty_stays_a_zero_vector(iterations: int) -> None:
    rows, initial = clusters_of_which_one_is_dead(torch.float32)
    centroids, labels = published_kmeans(rows, initial, iterations)
    assert torch.equal(centroids[3], torch.zeros(8))
    assert 3 not in labels


@EVERY_PRECISION
def test_a_dead_cluster_is_filled_again(dtype: torch.dtype) -> None:
    rows, initial = clusters_of_which_one_is_dead(dtype)
    centroids, assignments = kmeans(rows, clusters=4, initial=initial)
    assert torch.bincount(assignments, minlength=4).min() > 0
    video = rows.clone().requires_grad_()
    audio = rows.flip(1).clone().requires_grad_()
    assert_finite(default_loss(video, audio, centroids, assignments), video, audio)


# 4: one row of NaN is in the mean of every cluster (0 * NaN), and then hidden as zeros.


def rows_of_which_one_is_nan(dtype: torch.dtype) -> Tensor:
    rows = torch.randn(60, 8).to(dtype)
    rows[17] = torch.nan
    return rows


def test_one_row_of_nan_silently_empties_published_kmeans() -> None:
    rows = rows_of_which_one_is_nan(torch.float32)
    centroids, labels = published_kmeans(rows, rows[:4], iterations=2)
    assert torch.equal(centroids, torch.zeros(4, 8))
    assert labels.tolist() == [0] * 60


@EVERY_PRECISION
def test_one_row_of_nan_moves_nothing(dtype: torch.dtype) -> None:
    rows = rows_of_which_one_is_nan(dtype)
    kept = torch.arange(60) != 17
    centroids, assignments = kmeans(rows, clusters=4, initial=rows[:4])
    without, labels = kmeans(rows[kept], clusters=4, initial=rows[:4])
    assert torch.equal(centroids, without)
    assert assignments[17] == -1
    assert torch.equal(assignments[kept], labels)

    video, audio = rows.clone().requires_grad_(), rows.flip(1).clone().requires_grad_()
    has_cluster = assignments >= 0
    # Left out before anything is computed from it: behind a NaN even a gradient of zero is NaN.
    loss = default_loss(video[has_cluster], audio[has_cluster], centroids, assignments[has_cluster])
    assert_finite(loss, video, audio)


# 5: the logarithm of a softmax that underflowed is minus infinity, and nothing of it is NaN.


def published_prototype_loss(similarity: Tensor, targets: Tensor) -> Tensor:
    return -(targets * (10 * similarity).softmax(dim=1).log()).sum(dim=1).mean()


@pytest.mark.parametrize("gap, is_nan", [(10.0, False), (10.5, True)])
def test_the_published_logarithm_of_a_softmax_underflows(gap: float, is_nan: bool) -> None:
    similarity = torch.tensor([[gap, 0.0]], requires_grad=True)
    loss = published_prototype_loss(similarity, torch.tensor([[1.0, 0.0]]))
    loss.backward()
    assert loss.isnan().item() == is_nan
    assert similarity.grad is not None
    assert similarity.grad.isnan().any().item() == is_nan


@EVERY_PRECISION
@pytest.mark.parametrize("gap", [10.5, 60_000.0])
def test_a_logit_far_from_the_others_stays_finite(dtype: torch.dtype, gap: float) -> None:
    prototypes, right, wrong = torch.eye(2), torch.tensor([0]), torch.tensor([1])
    for target in (right, wrong):
        raw = torch.tensor([[gap, 0.0]], dtype=dtype, requires_grad=True)
        loss = cluster_loss(raw, prototypes, target, temperature=TEMPERATURE)
        loss.backward()
        assert loss.isfinite()
        assert raw.grad is not None
        assert raw.grad.isfinite().all()

        unit = torch.tensor([[gap, 1.0]], dtype=dtype, requires_grad=True)
        embeddings = F.normalize(unit.float(), dim=1)
        loss = cluster_loss(embeddings, prototypes, target, temperature=TEMPERATURE)
        loss.backward()
        assert loss.isfinite()
        assert unit.grad is not None
        assert unit.grad.isfinite().all()


# All of them once more, through the encoders and the objective, under autocast.


def make_large(batch: ClipBatch) -> None:
    batch.video.mul_(1000)
    batch.audio.mul_(1000)


def make_zero(batch: ClipBatch) -> None:
    batch.video.zero_()
    batch.audio[3:].zero_()


def make_alike(batch: ClipBatch) -> None:
    batch.video[:] = batch.video[0]
    batch.audio[:] = batch.audio[0]


def make_far_apart(batch: ClipBatch) -> None:
    batch.video[0] = 60_000.0
    batch.audio[1] = -60_000.0


def clips_of_a_batch(broken: int | None) -> ClipBatch:
    def rows(seed: int, dim: int) -> ClipRows:
        drawn = np.random.default_rng(seed).normal(size=(1, dim)).astype(np.float32)
        return ClipRows(drawn, np.ones(1, bool))

    clips = [
        Clips(
            video_id=str(number),
            seconds=np.array([[0.0, 9.0]]),
            video=rows(number, 12),
            audio=rows(100 + number, 10),
            words=np.array([[0, 0, -1, -1]], np.int32),
        )
        for number in range(20)
    ]
    if broken is not None:
        clips[broken].video.rows[0, 3] = np.nan
    return collate(clips)


@EVERY_PRECISION
@pytest.mark.parametrize("spoil", [make_large, make_zero, make_alike, make_far_apart, None])
def test_values_and_gradients_of_the_model_are_finite(
    dtype: torch.dtype, spoil: Callable[[ClipBatch], None] | None
) -> None:
    batch = clips_of_a_batch(broken=7 if spoil is None else None)
    if spoil is not None:
        spoil(batch)
    (objective,) = Stage.AVT.value
    model = Mcn(McnDims(video=12, audio=10, text=8, embedding=32, reconstruction=16))
    model.know_words(torch.full((1, 8), 0.5, dtype=torch.float16))
    inputs: dict[Modality, Tensor] = {"video": batch.video, "audio": batch.audio}
    for modality, rows in inputs.items():
        model.standardizers()[modality].set_statistics(rows.mean(0), rows.std(0, correction=0))
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        encoded = model(batch, objective.modalities)
        fused, present = fuse(encoded, batch.has, objective.clustered)
        centroids, assignments = kmeans(fused.detach().float()[present], clusters=9)
        everywhere = torch.full((20,), -1).masked_scatter(present, assignments)
        terms = mcn_terms(
            objective,
            encoded,
            batch.has,
            Clusters(centroids, everywhere),
            margin=0.001,
            temperature=TEMPERATURE,
        )
    assert len(terms) == 9
    assert all(term.isfinite() and term.dtype == torch.float32 for term in terms.values())
    (LOSS_SCALE * torch.stack([*terms.values()]).sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_autocast_leaves_every_similarity_in_float32(dtype: torch.dtype) -> None:
    video, audio = (rows.detach() for rows in two_modalities(8, DIM, 4.0, torch.float32))
    no_error = torch.zeros(8)
    encoded: dict[Modality, Encoded] = {
        "video": Encoded(video, no_error),
        "audio": Encoded(audio, no_error),
    }
    has: dict[Modality, Tensor] = {m: torch.ones(8, dtype=torch.bool) for m in encoded}
    clusters = Clusters(video[:3], torch.arange(8) % 3)

    def terms() -> dict[str, Tensor]:
        objective = Stage.AV_T.value[0]
        return mcn_terms(objective, encoded, has, clusters, margin=0.001, temperature=1.0)

    expected = terms()
    with torch.autocast("cpu", dtype=dtype):
        assert published_contrast(video @ audio.T).isfinite() == (dtype == torch.bfloat16)
        found = terms()
    for name, term in found.items():
        assert torch.equal(term, expected[name]), name


# And the remedy that was tried: a divided loss has the same NaN.


def test_dividing_the_published_loss_keeps_its_nan() -> None:
    video, _ = two_modalities(8, DIM, 4.0, torch.float16)
    centroids = video.detach()[:3]
    loss = F.cross_entropy(video @ centroids.T, torch.arange(8) % 3)
    assert loss.isnan()
    assert (loss / 1000).isnan()
