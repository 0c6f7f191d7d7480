"""What MCN does in a step: its clustering, its terms and their weights."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.modality import MODALITIES, Modality
from mcn.models.mcn import Encoded, Mcn
from mcn.objectives import Objective
from mcn.terms import Clusters, fuse, mcn_terms
from mcn.training.checkpoint import Checkpoint
from mcn.training.clusterer import Clusterer
from mcn.training.config import TrainConfig
from mcn.training.distributed import gather
from mcn.training.fault import Part

Encodings = dict[Modality, Encoded]


class Seen(NamedTuple):
    """What the terms of a step need besides encodings."""

    has: dict[Modality, Bool[Tensor, " clips"]]
    clusters: Clusters | None
    not_negatives: Bool[Tensor, "clips clips"] | None


class McnLearner:
    """Its queue is empty as a stage begins: embeddings were of other modalities."""

    def __init__(self, config: TrainConfig, objective: Objective, model: Mcn) -> None:
        model.train_only(objective.trained)
        self.config = config
        self.objective = objective
        self.clusterer = Clusterer(
            clusters=config.clusters,
            queue_size=config.queue_size,
            dim=config.embedding_dim,
            refit_every_steps=config.refit_every_steps,
            seed=config.seed,
            engine=config.kmeans_engine,
            device=next(model.parameters()).device,
            has_unit_length=model.has_unit_length,
        )
        self.clustered = objective.modalities if config.clustered == "all" else objective.clustered

    @property
    def health(self) -> dict[str, float]:
        """Of k-means, at a refit."""
        return self.clusterer.health

    def encode(self, network: nn.Module, batch: ClipBatch) -> Encodings:
        """Embeddings and reconstruction errors of this rank's clips."""
        encoded: Encodings = network(batch, self.objective.modalities)
        return encoded

    def gather(self, local: Encodings) -> Encodings:
        """The same of all ranks."""
        return {
            modality: Encoded(gather(one.embeddings), gather(one.reconstruction_error))
            for modality, one in local.items()
        }

    def look(
        self,
        encoded: Encodings,
        batch: ClipBatch,
        not_negatives: Bool[Tensor, "clips clips"] | None,
    ) -> Seen:
        """Take the clips of all ranks into the clustering; once a step."""
        has = {modality: gather(batch.has[modality]) for modality in self.objective.modalities}
        fused, present = fuse(encoded, has, self.clustered)
        # Once in the queue, a row that is not finite would be there for many steps.
        is_sound = present & fused.detach().sum(dim=1).isfinite()
        queued = None
        if self.config.queued_clips == "half":
            queued = every_second_clip(gather(batch.video_numbers))
        clusters = self.clusterer(fused, is_sound, queued)
        return Seen(has, clusters, not_negatives)

    def terms(self, encoded: Encodings, seen: Seen) -> dict[str, Tensor]:
        """Of the loss, by name, unweighted."""
        return mcn_terms(
            self.objective,
            encoded,
            seen.has,
            seen.clusters,
            margin=self.config.margin,
            temperature=self.config.temperature,
            not_negatives=seen.not_negatives,
        )

    def weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Contrastive terms are summed as in MCN; the others are means over their modalities."""
        kinds = [name.split("/")[1] for name in terms]
        is_mean = self.config.term_weights == "mean"
        shares = {kind: kinds.count(kind) if is_mean else len(MODALITIES) for kind in kinds}
        weights = {
            "mms": self.config.contrastive_weight,
            "cluster": self.config.cluster_weight / shares.get("cluster", 1),
            "reconstruction": self.config.reconstruction_weight / shares.get("reconstruction", 1),
        }
        return {
            name: weights[kind] * term
            for kind, (name, term) in zip(kinds, terms.items(), strict=True)
        }

    def idle(self, local: Encodings, terms: dict[str, Tensor]) -> list[Tensor]:
        """What learns, and no clip of the batch has."""
        return [
            part
            for modality in self.objective.trained
            if f"loss/reconstruction/{modality}" not in terms
            for part in local[modality]
        ]

    def parts(self, local: Encodings) -> list[Part]:
        """Modality by modality."""
        return [
            part
            for modality, one in local.items()
            for part in (
                Part("embeddings", modality, one.embeddings),
                Part("reconstruction", modality, one.reconstruction_error),
            )
        ]

    def state(self) -> dict[str, Tensor]:
        """Of the clustering."""
        return {f"clustering.{name}": value for name, value in self.clusterer.state().items()}

    def load_state(self, saved: Checkpoint) -> None:
        """Put back what `state` gave."""
        self.clusterer.load_state(saved.part("clustering"))


def every_second_clip(video_numbers: Int64[Tensor, " clips"]) -> Bool[Tensor, " clips"]:
    """The first, third, ... clip of each video, whose clips are side by side."""
    places = torch.arange(len(video_numbers), device=video_numbers.device)
    is_first = F.pad(video_numbers.diff() != 0, (1, 0), value=True)[: len(places)]
    begins = torch.where(is_first, places, 0).cummax(dim=0).values
    return (places - begins) % 2 == 0
