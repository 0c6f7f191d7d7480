"""One stage of a run: its optimiser, its clustering, and the step."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mcn.data.batches import ClipBatch
from mcn.modality import Modality
from mcn.models.mcn import Encoded, Mcn
from mcn.objectives import Objective, fuse, mcn_terms
from mcn.training.checkpoint import load_optimizer, optimizer_tensors
from mcn.training.clusterer import Clusterer
from mcn.training.config import TrainConfig
from mcn.training.distributed import gather, world_size
from mcn.training.schedule import warmup_cosine


@dataclass(frozen=True)
class StepResult:
    """What one step measured."""

    lr: float
    loss: float
    terms: dict[str, float]
    """Each term by name, unweighted."""


class StageTrainer:
    """Trains what the stage's objective names and leaves all else as it is.

    A stage begins with a fresh optimiser, a schedule of its own and an empty queue: what they
    held belonged to other parameters, or to embeddings of other modalities.
    """

    def __init__(
        self, config: TrainConfig, objective: Objective, model: Mcn, *, num_steps: int
    ) -> None:
        self.config = config
        self.objective = objective
        self.model = model
        self.num_steps = num_steps
        self.device = next(model.parameters()).device
        model.train_only(objective.trained)
        learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.names = dict(enumerate(learning))
        self.optimizer = torch.optim.Adam(learning.values(), lr=config.lr, fused=True)
        self.clusterer = Clusterer(
            clusters=config.clusters,
            queue_size=config.queue_size,
            dim=config.embedding_dim,
            refit_every_steps=config.refit_every_steps,
            seed=config.seed,
            device=self.device,
        )
        self.encode = DistributedDataParallel(model) if world_size() > 1 else model

    def step(self, batch: ClipBatch, step: int) -> StepResult:
        """One optimiser step on this rank's share of the global batch.

        Args:
            batch: This rank's clips.
            step: Number of the step in this stage, from 0.

        Raises:
            FloatingPointError: The loss is not finite; the weights are as before the step.
        """
        encoded, has = self._encode_on_all_ranks(batch.to(self.device))
        clusters = self.clusterer(*fuse(encoded, has, self.objective.clustered))
        terms = mcn_terms(
            self.objective,
            encoded,
            has,
            clusters,
            margin=self.config.margin,
            temperature=self.config.temperature,
        )
        if not terms:
            raise ValueError(
                f"no clip of this batch has the modalities of {self.objective}: "
                f"videos {batch.video_ids[:5]}"
            )
        loss = self._weighted(terms)
        # One transfer from the device for all numbers.
        values = torch.stack([loss.detach(), *(term.detach() for term in terms.values())]).tolist()
        measured = dict(zip(terms, values[1:], strict=True))
        if not bool(loss.isfinite()):
            broken = [name for name, value in measured.items() if not abs(value) < float("inf")]
            videos = ", ".join(sorted(set(batch.video_ids)))
            raise FloatingPointError(f"step {step}: {', '.join(broken)} not finite; {videos}")
        warmup = min(self.config.warmup_steps, self.num_steps // 10)
        lr = self.config.lr * warmup_cosine(step, warmup=warmup, total=self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return StepResult(lr, values[0], measured)

    def state(self) -> dict[str, Tensor]:
        """All that this stage adds to the model's weights."""
        optimizer = optimizer_tensors(self.optimizer, self.names)
        return {
            **{f"optimizer.{name}": value for name, value in optimizer.items()},
            **{f"clustering.{name}": value for name, value in self.clusterer.state().items()},
        }

    def load_state(self, optimizer: dict[str, Tensor], clustering: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        load_optimizer(self.optimizer, self.names, optimizer)
        self.clusterer.load_state(clustering)

    def _encode_on_all_ranks(
        self, batch: ClipBatch
    ) -> tuple[dict[Modality, Encoded], dict[Modality, Tensor]]:
        local = self.encode(batch, self.objective.modalities)
        encoded = {
            modality: Encoded(gather(one.embeddings), gather(one.reconstruction_error))
            for modality, one in local.items()
        }
        has = {modality: gather(batch.has[modality]) for modality in self.objective.modalities}
        return encoded, has

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        """Contrastive terms are summed as in MCN; the others are means over their modalities."""
        kinds: dict[str, list[Tensor]] = {"mms": [], "cluster": [], "reconstruction": []}
        for name, term in terms.items():
            kinds[name.split("/")[1]].append(term)
        config = self.config
        parts = [config.contrastive_weight * term for term in kinds["mms"]]
        parts += [config.cluster_weight * term / len(kinds["cluster"]) for term in kinds["cluster"]]
        parts += [
            config.reconstruction_weight * term / len(kinds["reconstruction"])
            for term in kinds["reconstruction"]
        ]
        return torch.stack(parts).sum()
