"""Terms of the losses of MCN and MMV for the clips of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from mcn.losses import cluster_loss, mil_nce_loss, mms_loss, nce_loss, products
from mcn.modality import Modality, Place
from mcn.models.mcn import Encoded
from mcn.objectives import LossName, Objective, Term, terms_of


@dataclass(frozen=True)
class Clusters:
    """Targets of the clustering loss for the clips of one batch."""

    centroids: Float[Tensor, "clusters dim"]
    assignments: Int[Tensor, " clips"]
    """-1 where a clip has none."""


def fuse(
    encoded: dict[Modality, Encoded],
    has: dict[Modality, Bool[Tensor, " clips"]],
    modalities: tuple[Modality, ...],
) -> tuple[Float[Tensor, "clips dim"], Bool[Tensor, " clips"]]:
    """Mean over the modalities that each clip has, and which clips have any."""
    masks = torch.stack([has[m] for m in modalities])
    embeddings = torch.stack([encoded[m].embeddings for m in modalities])
    count = masks.sum(dim=0)
    total = (embeddings * masks[..., None]).sum(dim=0)
    return total / count.clamp(min=1)[:, None], count > 0


def overlapping_clips(
    video_numbers: Int64[Tensor, " clips"], seconds: Float64[Tensor, "clips 2"]
) -> Bool[Tensor, "clips clips"]:
    """Which clips share a part of a video with which others; none with itself.

    To call them negatives of each other would be to call the same thing different. Clips that
    only touch do not overlap.
    """
    start, end = seconds.unbind(dim=1)
    starts_before_end = start[:, None] < end[None, :]
    overlapping = starts_before_end & starts_before_end.T
    overlapping &= video_numbers[:, None] == video_numbers[None, :]
    return overlapping.fill_diagonal_(False)


def mcn_terms(
    objective: Objective,
    encoded: dict[Modality, Encoded],
    has: dict[Modality, Bool[Tensor, " clips"]],
    clusters: Clusters | None,
    *,
    margin: float,
    temperature: float,
    not_negatives: Bool[Tensor, "clips clips"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Every term of MCN's loss by name, unweighted; clips count only where they have the input.

    Args:
        objective: Of the stage.
        encoded: All clips of the batch.
        has: Which of them have the modality.
        clusters: Their targets, once there are any.
        margin: Of the contrastive and the clustering loss.
        temperature: Divides all similarities.
        not_negatives: Pairs of clips that are not held against each other in the contrastive
            loss, with False on the diagonal.
    """
    terms: dict[str, Tensor] = {}
    for term in terms_of("mcn", objective):
        present = has[term.left]
        embeddings = encoded[term.left].embeddings
        if term.right is not None:
            both = present & has[term.right]
            similarity = products(embeddings[both], encoded[term.right].embeddings[both])
            if not_negatives is not None:
                similarity = similarity.masked_fill(not_negatives[both][:, both], -torch.inf)
            if len(similarity):
                terms[term.name] = mms_loss(similarity / temperature, margin=margin)
        elif term.loss == "reconstruction":
            if present.any():
                terms[term.name] = encoded[term.left].reconstruction_error[present].mean()
        elif clusters is not None:
            assignments = torch.where(present, clusters.assignments, -1)
            if (assignments >= 0).any():
                terms[term.name] = cluster_loss(
                    embeddings,
                    clusters.centroids,
                    assignments,
                    margin=margin,
                    temperature=temperature,
                )
    return terms


NO_MASKS: Mapping[LossName, Bool[Tensor, "clips clips"]] = MappingProxyType({})


def mmv_terms(
    rows: tuple[Term, ...],
    embedded: dict[Place, Float[Tensor, "clips ..."]],
    has: dict[Modality, Bool[Tensor, "clips ..."]],
    *,
    temperature: float,
    not_negatives: Mapping[LossName, Bool[Tensor, "clips clips"]] = NO_MASKS,
) -> dict[str, Float[Tensor, ""]]:
    """Every term of MMV's loss by name, unweighted; clips count only where they have both inputs.

    Args:
        rows: Terms of the stage.
        embedded: All clips of the batch; of text all candidates, as (clips, candidates, dim).
        has: Which of them have the modality; of text which candidates there are.
        temperature: Divides all similarities.
        not_negatives: By loss, pairs of clips that are not held against each other, with False on
            the diagonal.
    """
    terms: dict[str, Tensor] = {}
    for term in rows:
        left, right = (embedded[place] for place in term.places)
        is_left, is_right = (has[place[0]] for place in term.places)
        if term.loss == "nce":
            right, is_right = right[:, None], is_right[:, None]  # one candidate, and that certain
        both = is_left & is_right.any(dim=1)
        if not both.any():
            continue
        num_clips, candidates = is_right[both].shape
        similarity = products(left[both], right[both].flatten(0, 1))
        similarity = similarity.view(num_clips, num_clips, candidates)
        similarity = similarity.masked_fill(~is_right[both], -torch.inf)
        if term.loss in not_negatives:
            left_out = not_negatives[term.loss][both][:, both]
            similarity = similarity.masked_fill(left_out[..., None], -torch.inf)
        similarity = similarity.flatten(start_dim=1)
        if term.loss == "nce":
            terms[term.name] = nce_loss(similarity, temperature=temperature)
        else:
            terms[term.name] = mil_nce_loss(
                similarity, candidates=candidates, temperature=temperature
            )
    return terms
