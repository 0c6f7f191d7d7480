"""Rows in few dimensions, in which k-means finds almost the same clusters at a small price.

Means over many rows keep little of what the rows do not share, so nearly all by which centroids
differ lies where the rows vary most. Cohen et al., Dimensionality Reduction for k-Means
Clustering, 2015, bounds what is lost.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

DIMS = 128
ROWS_LOOKED_AT = 512
LEAST_VARIANCE = 1e-8
"""Of the most along any axis; an axis of less is rounding errors, and is left out."""


def reduce_dims(
    rows: Float[Tensor, "rows dim"], drawn: Int[Tensor, " rows"]
) -> Float[Tensor, "rows reduced"]:
    """The rows in the subspace of most variance, as the first of those drawn tell it.

    Rows of few dimensions come back as they are.
    """
    if rows.shape[1] <= 2 * DIMS:
        return rows
    sample = rows[drawn[:ROWS_LOOKED_AT]].double()
    sample = sample - sample.mean(dim=0)
    # Principal axes are sums of rows, by eigenvectors of the small matrix of their products.
    variances, eigenvectors = torch.linalg.eigh(sample @ sample.T)
    axes = F.normalize(eigenvectors[:, -DIMS:].T @ sample, dim=1)
    axes[variances[-DIMS:] <= LEAST_VARIANCE * variances[-1]] = 0
    return rows @ axes.to(rows.dtype).T
