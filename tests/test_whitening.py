"""PCA, whitening and unit length before k-means, against plain numpy."""

import sys

import numpy as np
import pytest
import torch

from mcn.clustering import whitening
from mcn.clustering.engines import ENGINES
from mcn.clustering.faiss_engine import nearest_among
from mcn.clustering.lloyd import cluster
from mcn.clustering.whitening import whiten


def plain_whitening(rows: np.ndarray, dims: int) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(centred.T))
    largest = np.argsort(variances)[::-1][:dims]
    components = centred @ axes[:, largest] / np.sqrt(variances[largest])
    return np.asarray(components / np.linalg.norm(components, axis=1, keepdims=True))


def correlated(rows: int = 200, dims: int = 12) -> torch.Tensor:
    return torch.randn(rows, dims) @ torch.randn(dims, dims) + 3 * torch.randn(dims)


@pytest.mark.parametrize("dims", [3, 12, 50])
def test_whitened_rows_are_those_of_plain_numpy_but_for_signs_of_axes(dims: int) -> None:
    rows = correlated()
    expected = plain_whitening(rows.double().numpy(), dims)
    found = whiten(rows, dims=dims).numpy()
    assert found.shape == expected.shape == (200, min(dims, 12))
    # Products of rows are what k-means goes by, and no sign changes them.
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=2e-4)


def test_labels_are_those_of_plain_numpy() -> None:
    centres = 4 * torch.randn(5, 12)
    rows = centres.repeat_interleave(40, dim=0) + 0.1 * torch.randn(200, 12)
    whitened = [whiten(rows, dims=4), torch.from_numpy(plain_whitening(rows.numpy(), 4)).float()]
    ours, plain = (
        cluster(
            of, clusters=5, initial=None, spherical=False, seed=0, engine=ENGINES["faiss"]
        ).assignments
        for of in whitened
    )
    assert len(set(zip(ours.tolist(), plain.tolist(), strict=True))) == 5


def test_rows_that_are_not_finite_move_nothing_and_come_out_as_nan() -> None:
    rows = correlated()
    broken = rows.clone()
    broken[[3, 70]] = torch.nan
    broken[5, 2] = torch.inf
    sound = broken.isfinite().all(dim=1)
    found = whiten(broken, dims=6)
    assert found[~sound].isnan().all()
    assert found[sound].equal(whiten(rows[sound], dims=6))


def test_axes_along_which_nothing_varies_are_left_out() -> None:
    rows = torch.randn(50, 3) @ torch.randn(3, 20)  # of three dimensions, wherever they lie
    found = whiten(rows, dims=10)
    assert found.shape == (50, 3) and found.isfinite().all()


def test_rows_that_are_all_the_same_cannot_be_clustered() -> None:
    with pytest.raises(ValueError, match="none differs"):
        whiten(torch.ones(9, 4), dims=2)


def test_without_faiss_whitening_offers_no_way_out_that_does_not_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match="whitening before k-means needs faiss") as raised:
        whiten(correlated(), dims=3)
    assert "engine torch" not in str(raised.value)
    with pytest.raises(ValueError, match="or take the engine torch"):
        nearest_among(correlated(), spherical=False)


def test_deviations_are_the_same_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = correlated(rows=101)
    monkeypatch.setattr(whitening, "ROWS_AT_ONCE", 7)
    torch.testing.assert_close(whitening._deviations(rows), rows.double().std(dim=0))
