"""One stage of a run: its optimiser, its clustering, and the step."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from mcn.data.batches import ClipBatch, clips_that_lack_all, collate
from mcn.modality import MODALITIES, Modality
from mcn.models.mcn import Encoded, Mcn
from mcn.objectives import Clusters, Objective, fuse, mcn_terms, overlapping_clips
from mcn.training.checkpoint import load_optimizer, optimizer_tensors
from mcn.training.clusterer import Clusterer
from mcn.training.config import TrainConfig
from mcn.training.distributed import gather, sum_over_ranks, world_size
from mcn.training.fault import Fault, find_fault, find_kept_out, gradient_norm
from mcn.training.schedule import warmup_cosine


@dataclass(frozen=True)
class StepResult:
    """What one step measured."""

    lr: float
    loss: float
    terms: dict[str, float]
    """Each term by name, unweighted, and at a refit of k-means its health."""
    num_kept_out: int
    """Clips of the global batch kept out of a modality since its features were not finite."""
    fault: Fault | None
    """What was not finite, in a step that was left out for it."""


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
            engine=config.kmeans_engine,
            device=self.device,
            has_unit_length=model.has_unit_length,
        )
        self.clustered = objective.modalities if config.clustered == "all" else objective.clustered
        # What a forward pass itself moves, and a step that is left out must not.
        self.moving = [
            buffer
            for module in model.modules()
            if isinstance(module, _BatchNorm) and module.training
            for buffer in module.buffers()
        ]
        self.encode: nn.Module = model
        if world_size() > 1:
            self.encode = DistributedDataParallel(model)
            self._settle_buckets()

    def step(self, batch: ClipBatch, step: int) -> StepResult:
        """One optimiser step on this rank's share of the global batch.

        Where the loss or a gradient is not finite, on whatever rank, the step is left out on all of
        them: weights and optimiser stay as they were, and the result says what was not finite.

        Args:
            batch: This rank's clips.
            step: Number of the step in this stage, from 0.
        """
        warmup = min(self.config.warmup_steps, self.num_steps // 10)
        lr = self.config.lr * warmup_cosine(step, warmup=warmup, total=self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        batch = batch.to(self.device)
        moving = self._copy_of_moving()
        local = self._encode(self.encode, batch)
        encoded, has = self._gather(local, batch)
        clusters = self._cluster(encoded, has)
        overlapping = self._overlapping(batch)
        terms = self._terms(encoded, has, clusters, overlapping)
        if not terms:
            self._put_back(moving)
            return self._nothing_to_learn(batch, lr)
        loss = torch.stack([*self._weighted(terms).values(), *self._idle(local, terms)]).sum()
        self.optimizer.zero_grad()
        loss.backward()
        values, num_kept_out, is_sound = self._measure([loss, *terms.values()], batch)
        measured = dict(zip(terms, values[1:], strict=True)) | self.clusterer.health
        if is_sound:
            self.optimizer.step()
            return StepResult(lr, values[0], measured, num_kept_out, fault=None)
        self._put_back(moving)
        fault = self._find_fault(batch, has, clusters, overlapping)
        self._put_back(moving)
        return StepResult(lr, values[0], measured, num_kept_out, fault)

    def _settle_buckets(self) -> None:
        """Let DDP order its buckets, which it does once, after the first backward pass.

        With more than two ranks a sum depends on its place in a bucket: ordered after the first
        step, a run that was resumed would have other last bits than one left alone.
        """
        dims = self.model.dims
        feature_dims = {m: int(getattr(dims, m)) for m in MODALITIES}
        lacking = clips_that_lack_all(1, feature_dims, max_words=1, form=self.model.form)
        nothing = collate([lacking], self.model.form).to(self.device)
        moving = self._copy_of_moving()
        local = self.encode(nothing, self.objective.modalities)
        torch.stack([part.sum() for encoded in local.values() for part in encoded]).sum().backward()
        self.optimizer.zero_grad()
        self._put_back(moving)

    def _copy_of_moving(self) -> list[Tensor]:
        return [buffer.clone() for buffer in self.moving]

    def _put_back(self, moving: list[Tensor]) -> None:
        for buffer, value in zip(self.moving, moving, strict=True):
            buffer.copy_(value)

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

    def _encode(self, encode: nn.Module, batch: ClipBatch) -> dict[Modality, Encoded]:
        is_half = self.config.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half):
            encoded: dict[Modality, Encoded] = encode(batch, self.objective.modalities)
        return encoded

    def _gather(
        self, local: dict[Modality, Encoded], batch: ClipBatch
    ) -> tuple[dict[Modality, Encoded], dict[Modality, Tensor]]:
        encoded = {
            modality: Encoded(gather(one.embeddings), gather(one.reconstruction_error))
            for modality, one in local.items()
        }
        has = {modality: gather(batch.has[modality]) for modality in self.objective.modalities}
        return encoded, has

    def _cluster(
        self, encoded: dict[Modality, Encoded], has: dict[Modality, Tensor]
    ) -> Clusters | None:
        fused, present = fuse(encoded, has, self.clustered)
        # Once in the queue, a row that is not finite would be there for many steps.
        return self.clusterer(fused, present & fused.detach().sum(dim=1).isfinite())

    def _overlapping(self, batch: ClipBatch) -> Tensor | None:
        if self.config.overlapping_clips == "negatives":
            return None
        return overlapping_clips(gather(batch.video_numbers), gather(batch.seconds))

    def _terms(
        self,
        encoded: dict[Modality, Encoded],
        has: dict[Modality, Tensor],
        clusters: Clusters | None,
        overlapping: Tensor | None,
    ) -> dict[str, Tensor]:
        return mcn_terms(
            self.objective,
            encoded,
            has,
            clusters,
            margin=self.config.margin,
            temperature=self.config.temperature,
            not_negatives=overlapping,
        )

    def _weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
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

    def _idle(self, local: dict[Modality, Encoded], terms: dict[str, Tensor]) -> list[Tensor]:
        """Zeros for what no clip of the batch has: DDP waits for a gradient of every parameter."""
        return [
            0 * part.sum()
            for modality in self.objective.trained
            if f"loss/reconstruction/{modality}" not in terms
            for part in local[modality]
        ]

    def _measure(self, terms: list[Tensor], batch: ClipBatch) -> tuple[list[float], int, bool]:
        """Values of the loss and its terms, clips kept out, and whether all is finite anywhere.

        One transfer from the device for all numbers.
        """
        values = torch.stack([term.detach() for term in terms])
        norm = gradient_norm(self.optimizer.param_groups[0]["params"])
        is_unsound = ~(values.isfinite().all() & norm.isfinite())
        kept_out = values.new_full((), batch.num_kept_out)  # a copy from the host would wait
        counts = sum_over_ranks(torch.stack((is_unsound.to(values.dtype), kept_out)))
        numbers = torch.cat((values, counts)).tolist()
        return numbers[:-2], int(numbers[-1]), numbers[-2] == 0

    def _find_fault(
        self,
        batch: ClipBatch,
        has: dict[Modality, Tensor],
        clusters: Clusters | None,
        overlapping: Tensor | None,
    ) -> Fault:
        local = self._encode(self.model, batch)
        encoded, _ = self._gather(local, batch)
        terms = self._weighted(self._terms(encoded, has, clusters, overlapping))
        return find_fault(self.model, batch, local, terms, self.device)

    def _nothing_to_learn(self, batch: ClipBatch, lr: float) -> StepResult:
        """A batch all of whose clips were kept out is left out like one that went wrong."""
        num_kept_out = int(sum_over_ranks(torch.tensor(batch.num_kept_out, device=self.device)))
        if not num_kept_out:
            raise ValueError(
                f"no clip of this batch has the modalities of {self.objective}: "
                f"videos {batch.video_ids[:5]}"
            )
        fault = find_kept_out(batch, self.device)
        return StepResult(lr, math.nan, {}, num_kept_out, fault)
