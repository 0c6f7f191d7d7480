"""What XDC learns from: the cross-entropy of each head's answers to the numbers of clusters."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mcn.objectives import Term


@dataclass(frozen=True)
class Labelled:
    """What the clips of one batch are to be told apart by, in one term."""

    labels: Int64[Tensor, " clips"]
    """Numbers of clusters; what stands where the weight is 0 means nothing."""
    weights: Float[Tensor, " clips"]
    """How much each clip counts; 0 for one that the term knows nothing of."""


def pseudo_label_terms(
    rows: tuple[Term, ...],
    logits: Mapping[str, Float[Tensor, "clips clusters"]],
    labelled: Mapping[str, Labelled],
) -> dict[str, Float[Tensor, ""]]:
    """Every term of XDC's loss by name, unweighted: the weighted mean of cross-entropies.

    Args:
        rows: Terms of the method.
        logits: All clips of the batch, by the name of the term whose head gave them.
        labelled: The same clips, by the name of the term.
    """
    terms: dict[str, Tensor] = {}
    for term in rows:
        told = labelled[term.name]
        counts = told.weights > 0
        if counts.any():
            weights = told.weights[counts]
            # What has no weight may hold anything, and zero times NaN is NaN.
            losses = F.cross_entropy(
                logits[term.name][counts].float(), told.labels[counts], reduction="none"
            )
            terms[term.name] = (weights * losses).sum() / weights.sum()
    return terms
