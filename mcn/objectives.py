"""Which loss falls on which modality and on which pair, at each stage of each order.

A stage trains some modalities while others stay frozen. Its contrastive pairs always have a
trained side: a term between two frozen modalities would be constant. What is clustered are the
frozen modalities where there are any, so that the centroids are targets that stand still.
"""

from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from mcn.losses import cluster_loss, mms_loss, products
from mcn.modality import MODALITIES, Modality
from mcn.models.mcn import Encoded


@dataclass(frozen=True)
class Objective:
    """What one stage trains, and against what."""

    trained: tuple[Modality, ...]
    frozen: tuple[Modality, ...] = ()

    @property
    def modalities(self) -> tuple[Modality, ...]:
        present = {*self.trained, *self.frozen}
        return tuple(m for m in MODALITIES if m in present)

    @property
    def pairs(self) -> tuple[tuple[Modality, Modality], ...]:
        return tuple(
            (left, right)
            for index, left in enumerate(self.modalities)
            for right in self.modalities[index + 1 :]
            if left in self.trained or right in self.trained
        )

    @property
    def clustered(self) -> tuple[Modality, ...]:
        return self.frozen or self.trained


class Stage(Enum):
    """Orders of training, as the user names them: what comes together first, what is added."""

    AV_T = (Objective(("video", "audio")), Objective(("text",), frozen=("video", "audio")))
    AT_V = (Objective(("audio", "text")), Objective(("video",), frozen=("audio", "text")))
    VT_A = (Objective(("video", "text")), Objective(("audio",), frozen=("video", "text")))
    AVT = (Objective(("video", "audio", "text")),)


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
    for left, right in objective.pairs:
        both = has[left] & has[right]
        similarity = products(encoded[left].embeddings[both], encoded[right].embeddings[both])
        if not_negatives is not None:
            similarity = similarity.masked_fill(not_negatives[both][:, both], -torch.inf)
        if len(similarity):
            terms[f"loss/mms/{left}-{right}"] = mms_loss(similarity / temperature, margin=margin)
    for modality in objective.trained:
        present = has[modality]
        if present.any():
            error = encoded[modality].reconstruction_error[present].mean()
            terms[f"loss/reconstruction/{modality}"] = error
        if clusters is not None:
            assigned = present & (clusters.assignments >= 0)
            if assigned.any():
                terms[f"loss/cluster/{modality}"] = cluster_loss(
                    encoded[modality].embeddings[assigned],
                    clusters.centroids,
                    clusters.assignments[assigned],
                    margin=margin,
                    temperature=temperature,
                )
    return terms
