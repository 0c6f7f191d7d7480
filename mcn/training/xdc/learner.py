"""What XDC does in a step: each head answers with the number of a cluster."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.modality import Modality
from mcn.models.xdc import Xdc
from mcn.pseudo_labels import Labelled, pseudo_label_terms
from mcn.training.checkpoint import Checkpoint
from mcn.training.distributed import gather
from mcn.training.fault import Part
from mcn.training.xdc.draws import Draws, LabelSet
from mcn.training.xdc.numbered import NumberedClips

Logits = dict[str, Tensor]


class XdcLearner:
    """Both encoders learn all the time, and the heads from one clustering to the next."""

    def __init__(self, model: Xdc, device: torch.device) -> None:
        self.rows = model.terms
        self.device = device
        self.health: dict[str, float] = {}
        self.labels: dict[LabelSet, Tensor] = {}
        self.weights: dict[str, Tensor] = {}

    def learn_from(self, labels: Mapping[LabelSet, Int64[Tensor, " clips"]], draws: Draws) -> None:
        """From now on of the clips of these draws."""
        self.labels = {label_set: of.to(self.device) for label_set, of in labels.items()}
        self.weights = {name: of.to(self.device) for name, of in draws.weights.items()}

    def encode(self, network: nn.Module, batch: ClipBatch) -> Logits:
        """Answers of all heads for this rank's clips."""
        logits: Logits = network(batch)
        return logits

    def gather(self, local: Logits) -> Logits:
        """The same of all ranks."""
        return {name: gather(rows) for name, rows in local.items()}

    def look(
        self,
        encoded: Logits,
        batch: ClipBatch,
        not_negatives: Bool[Tensor, "clips clips"] | None,
    ) -> dict[str, Labelled]:
        """What the clips of all ranks are to be told apart by, and which of them can be."""
        assert isinstance(batch, NumberedClips)
        numbers = gather(batch.numbers)
        lefts: dict[Modality, None] = dict.fromkeys(term.left for term in self.rows)
        has = {modality: gather(batch.has[modality]) for modality in lefts}
        return {
            term.name: Labelled(
                self.labels[term.labels_of][numbers],
                self.weights[term.name][numbers] * has[term.left],
            )
            for term in self.rows
        }

    def terms(self, encoded: Logits, seen: dict[str, Labelled]) -> dict[str, Tensor]:
        """Of the loss, by name."""
        return pseudo_label_terms(self.rows, encoded, seen)

    def weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """All alike: each has a head of its own."""
        return terms

    def idle(self, local: Logits, terms: dict[str, Tensor]) -> list[Tensor]:
        """Heads that no clip of the batch has anything to tell."""
        return [rows for name, rows in local.items() if name not in terms]

    def parts(self, local: Logits) -> list[Part]:
        """Term by term."""
        return [Part("embeddings", term.left, local[term.name]) for term in self.rows]

    def state(self) -> dict[str, Tensor]:
        """Labels are the round's, which saves them."""
        return {}

    def load_state(self, saved: Checkpoint) -> None:
        """There is nothing to put back."""
