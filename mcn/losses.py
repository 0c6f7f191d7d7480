"""Losses as pure functions. Row `i` and column `i` of a similarity matrix are the same clip."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def mms_loss(
    similarity: Float[Tensor, "clips clips"], *, margin: float = 1e-3
) -> Float[Tensor, ""]:
    """Masked margin softmax loss (Ilharco et al., 2019), row and column cross-entropy summed.

    The margin is taken off the diagonal, in the denominator too, as MCN does.
    """
    targets = torch.arange(len(similarity), device=similarity.device)
    logits = similarity - margin * torch.eye(
        len(similarity), dtype=similarity.dtype, device=similarity.device
    )
    return F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)


def cluster_loss(
    embeddings: Float[Tensor, "clips dim"],
    centroids: Float[Tensor, "clusters dim"],
    assignments: Int[Tensor, " clips"],
    *,
    margin: float = 1e-3,
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    """Draw each clip towards the centroid it is assigned to (MCN; Chen et al., 2021).

    The centroids are targets: no gradient flows into them.
    """
    similarity = embeddings @ centroids.detach().T / temperature
    own = F.one_hot(assignments, num_classes=len(centroids)).to(similarity.dtype)
    return F.cross_entropy(similarity - margin * own, assignments)
