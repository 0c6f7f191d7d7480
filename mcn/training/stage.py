"""One stage of a run: its optimiser and the step, whatever model it trains."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from mcn.data.batches import ClipBatch, clips_that_lack_all, collate
from mcn.modality import MODALITIES
from mcn.models.trained import Model
from mcn.objectives import Objective, overlapping_clips
from mcn.training.checkpoint import Checkpoint, load_optimizer, optimizer_tensors
from mcn.training.config import TrainConfig
from mcn.training.distributed import gather, sum_over_ranks, world_size
from mcn.training.fault import Fault, find_fault, find_kept_out, gradient_norm
from mcn.training.learner import new_learner
from mcn.training.schedule import warmup_cosine


@dataclass(frozen=True)
class StepResult:
    """What one step measured."""

    lr: float
    loss: float
    terms: dict[str, float]
    """Each term by name, unweighted, and what else the model records, as the health of k-means."""
    num_kept_out: int
    """Clips of the global batch kept out of a modality since its features were not finite."""
    fault: Fault | None
    """What was not finite, in a step that was left out for it."""


class StageTrainer:
    """Trains what the stage's objective names and leaves all else as it is.

    A stage begins with a fresh optimiser and a schedule of its own: what they held belonged to
    other parameters.
    """

    def __init__(
        self, config: TrainConfig, objective: Objective, model: Model, *, num_steps: int
    ) -> None:
        self.config = config
        self.objective = objective
        self.model = model
        self.num_steps = num_steps
        self.device = next(model.parameters()).device
        self.learner = new_learner(config, objective, model)
        learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.names = dict(enumerate(learning))
        self.optimizer = torch.optim.Adam(learning.values(), lr=config.lr, fused=True)
        # What a forward pass itself moves, and a step that is left out must not.
        self.moving = [
            buffer
            for module in model.modules()
            if isinstance(module, _BatchNorm) and module.training
            for buffer in module.buffers()
        ]
        self.network: nn.Module = model
        if world_size() > 1:
            self.network = DistributedDataParallel(model)
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
        local = self._encode(self.network, batch)
        encoded = self.learner.gather(local)
        seen = self.learner.look(encoded, batch, self._overlapping(batch))
        terms = self.learner.terms(encoded, seen)
        if not terms:
            self._put_back(moving)
            return self._nothing_to_learn(batch, lr)
        idle = [0 * part.sum() for part in self.learner.idle(local, terms)]
        loss = torch.stack([*self.learner.weighted(terms).values(), *idle]).sum()
        self.optimizer.zero_grad()
        loss.backward()
        values, num_kept_out, is_sound = self._measure([loss, *terms.values()], batch)
        measured = dict(zip(terms, values[1:], strict=True)) | dict(self.learner.health)
        if is_sound:
            self.optimizer.step()
            return StepResult(lr, values[0], measured, num_kept_out, fault=None)
        self._put_back(moving)
        fault = self._find_fault(batch, seen)
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
        parts = self.learner.parts(self.learner.encode(self.network, nothing))
        torch.stack([part.rows.sum() for part in parts]).sum().backward()
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
        named = {f"optimizer.{name}": value for name, value in optimizer.items()}
        return {**named, **self.learner.state()}

    def load_state(self, saved: Checkpoint) -> None:
        """Put back what `state` gave."""
        load_optimizer(self.optimizer, self.names, saved.part("optimizer"))
        self.learner.load_state(saved)

    def _encode(self, network: nn.Module, batch: ClipBatch) -> Any:
        is_half = self.config.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half):
            return self.learner.encode(network, batch)

    def _overlapping(self, batch: ClipBatch) -> Tensor | None:
        if self.config.overlapping_clips == "negatives":
            return None
        return overlapping_clips(gather(batch.video_numbers), gather(batch.seconds))

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

    def _find_fault(self, batch: ClipBatch, seen: Any) -> Fault:
        local = self._encode(self.model, batch)
        terms = self.learner.weighted(self.learner.terms(self.learner.gather(local), seen))
        return find_fault(self.model, batch, self.learner.parts(local), terms, self.device)

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
