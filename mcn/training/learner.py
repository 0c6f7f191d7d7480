"""What belongs to a model in a step; optimiser, schedule, ranks and faults are the stage's."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from jaxtyping import Bool
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.models.mcn import Mcn
from mcn.models.trained import Model
from mcn.objectives import Objective
from mcn.training.checkpoint import Checkpoint
from mcn.training.config import TrainConfig
from mcn.training.fault import Part
from mcn.training.mcn_learner import McnLearner
from mcn.training.mmv_learner import MmvLearner

Encodings = TypeVar("Encodings")
Seen = TypeVar("Seen")


@runtime_checkable
class Learner(Protocol[Encodings, Seen]):
    """Made at the beginning of a stage, it says which parameters of the model learn."""

    @property
    def health(self) -> Mapping[str, float]:
        """What is recorded of a step beside its terms, by name."""

    def encode(self, network: nn.Module, batch: ClipBatch) -> Encodings:
        """What the network, which may be wrapped, makes of this rank's clips."""

    def gather(self, local: Encodings) -> Encodings:
        """The same of all ranks, through which gradients flow back."""

    def look(
        self,
        encoded: Encodings,
        batch: ClipBatch,
        not_negatives: Bool[Tensor, "clips clips"] | None,
    ) -> Seen:
        """What the terms need besides; called once a step, for it may change the state."""

    def terms(self, encoded: Encodings, seen: Seen) -> dict[str, Tensor]:
        """Terms of the loss by name, unweighted; empty where no clip has what they need."""

    def weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the loss is the sum of."""

    def idle(self, local: Encodings, terms: dict[str, Tensor]) -> list[Tensor]:
        """What learns and is in none of the terms: DDP waits for a gradient of every parameter."""

    def parts(self, local: Encodings) -> list[Part]:
        """What was computed of single clips, in which a fault may be."""

    def state(self) -> dict[str, Tensor]:
        """All that outlives a step, by names that no other part of a checkpoint has."""

    def load_state(self, saved: Checkpoint) -> None:
        """Put back what `state` gave."""


def new_learner(config: TrainConfig, objective: Objective, model: Model) -> Learner[Any, Any]:
    """That of the model, for one stage."""
    if isinstance(model, Mcn):
        return McnLearner(config, objective, model)
    return MmvLearner(config, objective, model)
