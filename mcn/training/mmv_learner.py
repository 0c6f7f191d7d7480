"""What MMV does in a step: its terms, each in its space."""

from typing import NamedTuple

from jaxtyping import Bool
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.modality import Modality, Place
from mcn.models.mmv import Mmv
from mcn.objectives import LossName, Objective, settled_terms, terms_of
from mcn.terms import mmv_terms, overlapping_clips
from mcn.training.checkpoint import Checkpoint
from mcn.training.config import TrainConfig
from mcn.training.distributed import gather
from mcn.training.fault import Part

Embeddings = dict[Place, Tensor]


class Seen(NamedTuple):
    """What the terms of a step need besides embeddings."""

    has: dict[Modality, Bool[Tensor, "clips ..."]]
    """Of text by candidate."""
    not_negatives: dict[LossName, Bool[Tensor, "clips clips"]]


class MmvLearner:
    """A head learns in the first stage that has a term on its path, and then stays as it is."""

    def __init__(self, config: TrainConfig, objective: Objective, model: Mmv) -> None:
        self.config = config
        self.terms_of_stage = terms_of(config.model_name, objective)
        settled = settled_terms(config.model_name, objective)
        learning = model.heads_of(place for term in self.terms_of_stage for place in term.places)
        model.train_only(learning - model.heads_of(p for term in settled for p in term.places))
        found = (place for term in self.terms_of_stage for place in term.places)
        self.places: tuple[Place, ...] = tuple(dict.fromkeys(found))
        self.health: dict[str, float] = {}

    def encode(self, network: nn.Module, batch: ClipBatch) -> Embeddings:
        """Embeddings of this rank's clips, in the spaces in which the stage compares them."""
        embedded: Embeddings = network(batch, self.places)
        return embedded

    def gather(self, local: Embeddings) -> Embeddings:
        """The same of all ranks."""
        return {place: gather(rows) for place, rows in local.items()}

    def look(
        self,
        embedded: Embeddings,
        batch: ClipBatch,
        not_negatives: Bool[Tensor, "clips clips"] | None,
    ) -> Seen:
        """Which clips of all ranks have what."""
        _, is_word = batch.candidates
        local = {**batch.has, "text": is_word.any(dim=2)}
        modalities = dict.fromkeys(modality for modality, _ in self.places)
        has = {modality: gather(local[modality]) for modality in modalities}
        if not_negatives is None:
            return Seen(has, {})
        apart: dict[LossName, Tensor] = {"nce": not_negatives, "mil-nce": not_negatives}
        if batch.told_seconds is not None:
            # A caption near one clip may be what another one's picture shows, or its own caption.
            numbers = gather(batch.video_numbers)
            apart["mil-nce"] = overlapping_clips(numbers, gather(batch.told_seconds))
        return Seen(has, apart)

    def terms(self, embedded: Embeddings, seen: Seen) -> dict[str, Tensor]:
        """Of the loss, by name, unweighted."""
        return mmv_terms(
            self.terms_of_stage,
            embedded,
            seen.has,
            temperature=self.config.temperature,
            not_negatives=seen.not_negatives,
        )

    def weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each kind of loss has one term."""
        weights = {"nce": self.config.nce_weight, "mil-nce": self.config.mil_nce_weight}
        return {name: weights[name.split("/")[1]] * term for name, term in terms.items()}

    def idle(self, local: Embeddings, terms: dict[str, Tensor]) -> list[Tensor]:
        """What learns, and no clip of the batch has."""
        return [
            local[place]
            for term in self.terms_of_stage
            if term.name not in terms
            for place in term.places
        ]

    def parts(self, local: Embeddings) -> list[Part]:
        """Space by space."""
        return [Part("embeddings", modality, rows) for (modality, _), rows in local.items()]

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a step but weights and optimiser."""
        return {}

    def load_state(self, saved: Checkpoint) -> None:
        """There is nothing to put back."""
