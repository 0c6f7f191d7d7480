"""Rows in the dimensions of most variance, each brought to unit variance and each row to unit
length, as DeepCluster has them before k-means.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from mcn.clustering.faiss_engine import import_faiss
from mcn.clustering.lloyd import finite_rows

ROWS_AT_ONCE = 65_536

LEAST_VARIANCE = 1e-6
"""Of the most along any axis; an axis of less is rounding errors, and is left out."""


@torch.no_grad()
def whiten(rows: Float[Tensor, "rows dim"], *, dims: int) -> Float[Tensor, "rows whitened"]:
    """Principal components of unit variance, rows of unit length; at most `dims` of them.

    Rows that are not finite are in no component, and come out as NaN. Components by faiss, on
    the processor; their signs are as they come.

    Raises:
        ValueError: No row differs from another, or faiss is not installed.
    """
    faiss = import_faiss("whitening before k-means")
    finite = finite_rows(rows.float())
    known = (rows if finite.all() else rows[finite]).float().cpu().contiguous()
    if len(known) < 2 or not (known != known[0]).any():
        raise ValueError(
            f"there is nothing to cluster: of {len(known)} finite rows none differs from another"
        )
    most = min(dims, known.shape[1], len(known) - 1)
    pca = faiss.PCAMatrix(known.shape[1], most)
    pca.train(known.numpy())
    components = torch.from_numpy(pca.apply(known.numpy()))
    del known  # of millions of rows each copy is gigabytes
    deviations = _deviations(components)
    kept = deviations.square() > LEAST_VARIANCE * deviations.square().max()
    unit = components if kept.all() else components[:, kept]
    unit /= deviations[kept].float()
    F.normalize(unit, dim=1, out=unit)
    if finite.all():
        return unit.to(rows.device)
    whitened = torch.full((len(rows), unit.shape[1]), torch.nan, device=rows.device)
    whitened[finite] = unit.to(rows.device)
    return whitened


def _deviations(rows: Float[Tensor, "rows dim"]) -> Float64[Tensor, " dim"]:
    """Standard deviations in double precision, some rows at once."""
    parts = rows.split(ROWS_AT_ONCE)
    mean = torch.stack([part.double().sum(dim=0) for part in parts]).sum(dim=0) / len(rows)
    squares = [(part.double() - mean).square_().sum(dim=0) for part in parts]
    return (torch.stack(squares).sum(dim=0) / (len(rows) - 1)).sqrt()
