import inspect
import math
import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.clustering import kmeans
from mcn.losses import cluster_loss, max_margin_loss, mil_nce_loss, mms_loss, nce_loss


def unit_vectors(n: int, dim: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, dim, generator=generator), dim=1)


def wave(rows: int, columns: int, a: float, b: float) -> Tensor:
    """sin(a i^2 + b j + 0.5 i j): input that anyone can rebuild."""
    i = torch.arange(rows, dtype=torch.float64)[:, None]
    j = torch.arange(columns, dtype=torch.float64)[None, :]
    return torch.sin(a * i**2 + b * j + 0.5 * i * j)


def scores(rows: int, columns: int) -> list[list[float]]:
    similarity: list[list[float]] = torch.randn(rows, columns, dtype=torch.float64).tolist()
    return similarity


LOSSES: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "mms": (lambda similarity: mms_loss(similarity, margin=0.0), 2 * math.log(6)),
    "nce": (lambda similarity: nce_loss(similarity, temperature=0.3), math.log(2 * 6 - 1)),
    "mil-nce": (
        lambda similarity: mil_nce_loss(
            similarity.repeat_interleave(3, dim=1), candidates=3, temperature=0.5
        ),
        math.log(2 * 6),
    ),
    "cluster": (
        lambda similarity: cluster_loss(
            similarity, torch.eye(6, dtype=similarity.dtype), torch.arange(6), margin=0.0
        ),
        math.log(6),
    ),
    "max-margin": (
        lambda similarity: max_margin_loss(
            similarity, margin=0.2, clips_per_video=2, intra_video_rate=0.4
        ),
        2 * 0.2,
    ),
}
"""Each loss of a (6, 6) matrix, and its value for a model that tells nothing apart."""

EVERY_LOSS = pytest.mark.parametrize("loss, chance", LOSSES.values(), ids=LOSSES.keys())


@EVERY_LOSS
def test_a_collapsed_model_is_at_chance(loss: Callable[[Tensor], Tensor], chance: float) -> None:
    assert loss(torch.full((6, 6), 0.7)).item() == pytest.approx(chance, abs=1e-6)


@EVERY_LOSS
def test_aligned_clips_cost_less_than_chance_and_others_more(
    loss: Callable[[Tensor], Tensor], chance: float
) -> None:
    clips = torch.eye(6)
    assert loss(clips).item() < chance < loss(clips.roll(1, dims=0)).item()


@EVERY_LOSS
def test_gradients_are_those_of_finite_differences(
    loss: Callable[[Tensor], Tensor], chance: float
) -> None:
    similarity = torch.randn(6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (similarity,))


@EVERY_LOSS
def test_a_loss_is_computed_in_no_less_than_float32(
    loss: Callable[[Tensor], Tensor], chance: float
) -> None:
    similarity = torch.randn(6, 6, dtype=torch.float64)
    exact = loss(similarity)
    assert exact.dtype == torch.float64
    torch.testing.assert_close(loss(similarity.float()), exact.float())
    for half in (torch.float16, torch.bfloat16):
        rounded = similarity.to(half)
        assert torch.equal(loss(rounded), loss(rounded.float()))
        with torch.autocast("cpu", dtype=half):
            assert torch.equal(loss(rounded), loss(rounded.float()))


@EVERY_LOSS
def test_huge_similarities_overflow_nowhere(
    loss: Callable[[Tensor], Tensor], chance: float
) -> None:
    similarity = (60_000 * torch.eye(6).roll(1, dims=0)).half().requires_grad_()
    value = loss(similarity)
    value.backward()
    assert value.isfinite()
    assert similarity.grad is not None
    assert similarity.grad.isfinite().all()


@pytest.mark.parametrize(
    "margin, published", [(0.001, 3.9058548546738865), (0.0, 3.904519507728846)]
)
def test_mms_loss_is_the_published_number(margin: float, published: float) -> None:
    loss = mms_loss(3 * wave(5, 5, 0.37, 0.11), margin=margin)
    assert loss.item() == pytest.approx(published, abs=1e-6)


def test_mms_loss_of_two_modalities_is_the_published_number() -> None:
    similarity = wave(4, 6, 0.37, 0.11) @ wave(4, 6, 0.29, 0.23).T
    assert mms_loss(similarity).item() == pytest.approx(0.6385971574540392, abs=1e-6)


def test_mms_loss_equals_a_plain_loop() -> None:
    similarity, margin = unit_vectors(6, 4).double() @ unit_vectors(6, 4, seed=1).double().T, 0.2
    total = 0.0
    for matrix in (similarity.tolist(), similarity.T.tolist()):
        for i, row in enumerate(matrix):
            logits = [s - margin * (i == j) for j, s in enumerate(row)]
            total -= math.log(math.exp(logits[i]) / sum(map(math.exp, logits))) / len(matrix)
    assert mms_loss(similarity, margin=margin).item() == pytest.approx(total, abs=1e-12)


def test_mms_loss_does_not_depend_on_the_direction() -> None:
    similarity = unit_vectors(8, 16) @ unit_vectors(8, 16, seed=1).T
    torch.testing.assert_close(mms_loss(similarity), mms_loss(similarity.T))


def test_nce_loss_equals_a_plain_loop() -> None:
    similarity, temperature = scores(5, 5), 0.4
    total = 0.0
    for i in range(5):
        own = math.exp(similarity[i][i] / temperature)
        row = sum(math.exp(similarity[i][j] / temperature) for j in range(5) if j != i)
        column = sum(math.exp(similarity[j][i] / temperature) for j in range(5) if j != i)
        total -= math.log(own / (own + row + column)) / 5
    loss = nce_loss(torch.tensor(similarity, dtype=torch.float64), temperature=temperature)
    assert loss.item() == pytest.approx(total, abs=1e-12)


def test_a_clip_without_rivals_costs_nothing() -> None:
    assert nce_loss(torch.tensor([[0.3]]), temperature=0.07).item() == 0


@pytest.mark.parametrize(
    "dtype, published",
    [(torch.float64, 2.4323678322468782), (torch.float32, 2.432368040084839)],
)
def test_mil_nce_loss_is_the_published_number(dtype: torch.dtype, published: float) -> None:
    video, text = wave(3, 4, 0.37, 0.11).to(dtype), wave(6, 4, 0.29, 0.23).to(dtype)
    loss = mil_nce_loss(video @ text.T, candidates=2)
    assert loss.item() == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("candidates", [1, 3])
def test_mil_nce_loss_equals_a_plain_loop(candidates: int) -> None:
    similarity, temperature = scores(4, 4 * candidates), 0.6
    total = 0.0
    for video in range(4):
        texts = range(video * candidates, (video + 1) * candidates)
        own = sum(math.exp(similarity[video][text] / temperature) for text in texts)
        row = sum(math.exp(score / temperature) for score in similarity[video])
        column = sum(math.exp(row[text] / temperature) for row in similarity for text in texts)
        total += (math.log(row + column) - math.log(own)) / 4
    loss = mil_nce_loss(
        torch.tensor(similarity, dtype=torch.float64),
        candidates=candidates,
        temperature=temperature,
    )
    assert loss.item() == pytest.approx(total, abs=1e-12)


def test_mil_nce_loss_is_content_with_one_good_candidate() -> None:
    similarity = torch.zeros(4, 8, dtype=torch.float64)
    similarity[torch.arange(4), 2 * torch.arange(4)] = 100
    assert mil_nce_loss(similarity, candidates=2).item() == pytest.approx(math.log(2))


def test_texts_that_are_not_the_candidates_of_all_videos_are_an_error() -> None:
    with pytest.raises(ValueError, match="3 videos with 2 candidates each have no 7 texts"):
        mil_nce_loss(torch.zeros(3, 7), candidates=2)
    with pytest.raises(ValueError, match="3 videos with 0 candidates each: there is no text"):
        mil_nce_loss(torch.zeros(3, 0), candidates=0)
    with pytest.raises(ValueError, match="0 videos with 2 candidates each: there is no text"):
        mil_nce_loss(torch.zeros(0, 0), candidates=2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_max_margin_loss_is_the_published_number(dtype: torch.dtype) -> None:
    similarity = wave(4, 4, 0.37, 0.11).to(dtype)
    loss = max_margin_loss(similarity, margin=0.1, clips_per_video=2, intra_video_rate=0.5)
    assert loss.item() == pytest.approx(
        0.6129797101020813, abs=1e-6 if dtype.itemsize < 8 else 1e-7
    )


@pytest.mark.parametrize("rate", [None, 0.0, 0.3, 1.0])
def test_max_margin_loss_equals_a_plain_loop(rate: float | None) -> None:
    similarity, videos, clips, margin = scores(6, 6), 3, 2, 0.2
    total = 0.0
    for i in range(6):
        for j in range(6):
            entry = max(0.0, margin + similarity[i][j] - similarity[i][i])
            entry += max(0.0, margin + similarity[i][j] - similarity[j][j])
            if rate is not None:
                within = i // clips == j // clips
                entry *= videos * (rate if within else (1 - rate) / (videos - 1))
            total += entry / 36
    loss = max_margin_loss(
        torch.tensor(similarity, dtype=torch.float64),
        margin=margin,
        clips_per_video=clips,
        intra_video_rate=rate,
    )
    assert loss.item() == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("rate", [None, 0.5])
@pytest.mark.parametrize("clips_per_video", [2, 0, -1, 6])
def test_clips_that_are_not_those_of_whole_videos_are_an_error(
    clips_per_video: int, rate: float | None
) -> None:
    with pytest.raises(ValueError, match=f"5 clips are not {clips_per_video} of each video"):
        max_margin_loss(torch.zeros(5, 5), clips_per_video=clips_per_video, intra_video_rate=rate)


@pytest.mark.parametrize("shape", [(0, 0), (3, 5), (5, 3)])
def test_a_similarity_without_a_clip_or_a_diagonal_is_an_error(shape: tuple[int, int]) -> None:
    similarity = torch.zeros(shape)
    for loss, arguments in (
        (mms_loss, {}),
        (nce_loss, {"temperature": 1.0}),
        (max_margin_loss, {}),
    ):
        whole = inspect.unwrap(loss)  # without the check of shapes that tests have
        with pytest.raises(ValueError, match=re.escape(f"a similarity of shape {shape}")):
            whole(similarity, **arguments)


@pytest.mark.parametrize("temperature", [0.0, -0.1, math.nan])
def test_a_temperature_that_is_not_positive_is_an_error(temperature: float) -> None:
    clips, assignments = torch.eye(4), torch.arange(4)
    for loss in (
        partial(nce_loss, clips),
        partial(mil_nce_loss, clips, candidates=1),
        partial(cluster_loss, clips, clips, assignments),
    ):
        with pytest.raises(ValueError, match=f"temperature is {temperature} and must be"):
            loss(temperature=temperature)


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


@pytest.mark.parametrize(
    "margin, published",
    [(0.001, 0.7751448154449463), (0.001, 0.7751447558403015), (0.0, 0.7746639251708984)],
    ids=["cross-entropy", "by its two products", "without margin"],
)
def test_cluster_loss_is_the_published_number(margin: float, published: float) -> None:
    clips, centroids = wave(6, 5, 0.37, 0.11), wave(3, 5, 0.29, 0.23)
    loss = cluster_loss(clips, centroids, torch.tensor([0, 1, 2, 0, 1, 2]), margin=margin)
    assert loss.item() == pytest.approx(published, abs=1e-6)


def test_clips_that_kmeans_assigns_to_nothing_are_left_out_of_the_cluster_loss() -> None:
    clips = unit_vectors(20, 6).double()
    bad = clips.clone()
    bad[3, 2], bad[11, 0] = math.nan, math.inf
    bad.requires_grad_()
    centroids, assignments = kmeans(bad.detach(), clusters=3)
    known = assignments >= 0
    assert known.sum() == 18
    loss = cluster_loss(bad, centroids, assignments)
    loss.backward()
    assert bad.grad is not None and bad.grad.isfinite().all()
    assert not bad.grad[~known].any() and bad.grad[known].any(dim=1).all()
    assert loss.item() == cluster_loss(clips[known], centroids, assignments[known]).item()


def test_no_clip_assigned_to_anything_costs_nothing_and_moves_nothing() -> None:
    clips = torch.full((4, 6), math.nan, requires_grad=True)
    loss = cluster_loss(clips, unit_vectors(3, 6), torch.full((4,), -1))
    loss.backward()
    assert loss.item() == 0
    assert clips.grad is not None and not clips.grad.any()


def test_assignments_may_be_integers_of_any_kind_but_one_for_each_clip() -> None:
    clips, centroids, assignments = unit_vectors(6, 5), unit_vectors(3, 5), torch.arange(6) % 3
    loss = cluster_loss(clips, centroids, assignments)
    for kind in (torch.int32, torch.int8):
        assert torch.equal(cluster_loss(clips, centroids, assignments.to(kind)), loss)
    with pytest.raises(ValueError, match=r"\(5,\) assignments for 6 clips"):
        inspect.unwrap(cluster_loss)(clips, centroids, assignments[:5])


def test_cluster_loss_moves_clips_and_not_centroids() -> None:
    clips = unit_vectors(8, 16).requires_grad_()
    centroids = unit_vectors(3, 16, seed=1).requires_grad_()
    cluster_loss(clips, centroids, torch.arange(8) % 3).backward()
    assert clips.grad is not None
    assert centroids.grad is None
