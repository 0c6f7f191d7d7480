"""Which loss falls on which modality or pair in which space, at each stage of each order.

`TERMS` says it of every model. A stage trains some modalities while others stay frozen. Its
contrastive pairs always have a trained side: a term between two frozen modalities would be
constant. What MCN clusters are the frozen modalities where there are any, so that the centroids
are targets that stand still. What the terms are of a batch, `mcn/terms.py` says: this here imports
no torch, so that a run can be asked for without it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from mcn.modality import MODALITIES, Modality, Place, Space


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


LossName = Literal["mms", "nce", "mil-nce", "reconstruction", "cluster", "pseudo-label"]


@dataclass(frozen=True)
class Term:
    """One loss."""

    loss: LossName
    left: Modality
    right: Modality | None
    """None where the left one is not held against another modality, but against its own input or
    a centroid."""
    space: Space
    labels_of: tuple[Modality, ...] = ()
    """Of pseudo-labels: the modalities whose features, side by side, were clustered to give them;
    nothing else is told of these modalities."""

    @property
    def name(self) -> str:
        against = "" if self.right is None else f"-{self.right}"
        labelled = f"-by-{'-'.join(self.labels_of)}" if self.labels_of else ""
        return f"loss/{self.loss}/{self.left}{against}{labelled}"

    @property
    def places(self) -> tuple[Place, ...]:
        left: Place = (self.left, self.space)
        return (left,) if self.right is None else (left, (self.right, self.space))


TERMS: dict[str, tuple[Term, ...]] = {
    "mcn": (
        Term("mms", "video", "audio", "joint"),
        Term("mms", "video", "text", "joint"),
        Term("mms", "audio", "text", "joint"),
        Term("reconstruction", "video", None, "joint"),
        Term("cluster", "video", None, "joint"),
        Term("reconstruction", "audio", None, "joint"),
        Term("cluster", "audio", None, "joint"),
        Term("reconstruction", "text", None, "joint"),
        Term("cluster", "text", None, "joint"),
    ),
    "mmv-fac": (
        Term("nce", "video", "audio", "fine"),
        Term("mil-nce", "video", "text", "coarse"),
    ),
    "mmv-shared": (
        Term("nce", "video", "audio", "joint"),
        Term("mil-nce", "video", "text", "joint"),
    ),
    "mmv-disjoint": (
        Term("nce", "video", "audio", "video-audio"),
        Term("mil-nce", "video", "text", "video-text"),
    ),
    "xdc-sdc": (
        Term("pseudo-label", "video", None, "own", labels_of=("video",)),
        Term("pseudo-label", "audio", None, "own", labels_of=("audio",)),
    ),
    "xdc-mdc": (
        Term("pseudo-label", "video", None, "own", labels_of=("video",)),
        Term("pseudo-label", "video", None, "own", labels_of=("audio",)),
        Term("pseudo-label", "audio", None, "own", labels_of=("audio",)),
        Term("pseudo-label", "audio", None, "own", labels_of=("video",)),
    ),
    "xdc-cdc": (
        Term("pseudo-label", "video", None, "own", labels_of=("video", "audio")),
        Term("pseudo-label", "audio", None, "own", labels_of=("video", "audio")),
    ),
    "xdc-xdc": (
        Term("pseudo-label", "video", None, "own", labels_of=("audio",)),
        Term("pseudo-label", "audio", None, "own", labels_of=("video",)),
    ),
}


FROM_CLIPS = "-clips"
"""Ends the name of a model that is trained on raw clips; what it learns from is the same."""


def learns_of_text(model: str) -> bool:
    """Whether sentences are compared with anything in what a model of this name learns."""
    return any("text" in (term.left, term.right) for term in TERMS[model.removesuffix(FROM_CLIPS)])


def terms_of(model: str, objective: Objective) -> tuple[Term, ...]:
    """What a stage of a model learns from."""
    return tuple(
        term
        for term in TERMS[model]
        if (
            term.left in objective.trained
            if term.right is None
            else (term.left, term.right) in objective.pairs
        )
    )


def settled_terms(model: str, objective: Objective) -> tuple[Term, ...]:
    """What an earlier stage has learnt from, between modalities that are frozen now."""
    return terms_of(model, Objective(objective.frozen))


class Stage(Enum):
    """Orders of training, as the user names them: what comes together first, what is added."""

    AV_T = (Objective(("video", "audio")), Objective(("text",), frozen=("video", "audio")))
    AT_V = (Objective(("audio", "text")), Objective(("video",), frozen=("audio", "text")))
    VT_A = (Objective(("video", "text")), Objective(("audio",), frozen=("video", "text")))
    AVT = (Objective(("video", "audio", "text")),)
