"""One optimiser step of whatever model, over all ranks, left out where it is not finite."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from mcn.choices import Precision
from mcn.data.batches import ClipBatch
from mcn.training.checkpoint import Checkpoint, load_optimizer, optimizer_tensors
from mcn.training.distributed import sum_over_ranks, world_size
from mcn.training.fault import Fault, find_fault, find_kept_out, gradient_norm
from mcn.training.learner import Learner


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


class Stepper:
    """Moves what learns of a model by one optimiser, as its learner says."""

    def __init__(
        self,
        model: nn.Module,
        learner: Learner[Any, Any],
        optimizer: torch.optim.Optimizer,
        *,
        precision: Precision,
        any_batch: ClipBatch,
    ) -> None:
        """Takes over a model of which what learns, and is in training, is settled.

        Args:
            model: On the device of this rank.
            learner: Of the model.
            optimizer: Of all parameters that learn, in the model's order.
            precision: Of the model's products.
            any_batch: In the form of those that will come, whatever is in it.
        """
        self.model = model
        self.learner = learner
        self.optimizer = optimizer
        self.precision = precision
        self.device = next(model.parameters()).device
        learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.names = dict(enumerate(learning))
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
            self._settle_buckets(any_batch.to(self.device))

    def take(
        self, batch: ClipBatch, lr: float, not_negatives: Bool[Tensor, "clips clips"] | None = None
    ) -> StepResult:
        """One optimiser step on this rank's share of the global batch.

        Where the loss or a gradient is not finite, on whatever rank, the step is left out on all of
        them: weights and optimiser stay as they were, and the result says what was not finite.

        Args:
            batch: This rank's clips, on its device.
            lr: Learning rate.
            not_negatives: Pairs of clips of all ranks that are not held against each other.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        moving = self._copy_of_moving()
        local = self._encode(self.network, batch)
        encoded = self.learner.gather(local)
        seen = self.learner.look(encoded, batch, not_negatives)
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

    def _settle_buckets(self, batch: ClipBatch) -> None:
        """Let DDP order its buckets, which it does once, after the first backward pass.

        With more than two ranks a sum depends on its place in a bucket: ordered after the first
        step, a run that was resumed would have other last bits than one left alone.
        """
        moving = self._copy_of_moving()
        parts = self.learner.parts(self.learner.encode(self.network, batch))
        torch.stack([part.rows.sum() for part in parts]).sum().backward()
        self.optimizer.zero_grad()
        self._put_back(moving)

    def _copy_of_moving(self) -> list[Tensor]:
        return [buffer.clone() for buffer in self.moving]

    def _put_back(self, moving: list[Tensor]) -> None:
        for buffer, value in zip(self.moving, moving, strict=True):
            buffer.copy_(value)

    def state(self) -> dict[str, Tensor]:
        """All that this adds to the model's weights."""
        optimizer = optimizer_tensors(self.optimizer, self.names)
        named = {f"optimizer.{name}": value for name, value in optimizer.items()}
        return {**named, **self.learner.state()}

    def load_state(self, saved: Checkpoint) -> None:
        """Put back what `state` gave."""
        load_optimizer(self.optimizer, self.names, saved.part("optimizer"))
        self.learner.load_state(saved)

    def _encode(self, network: nn.Module, batch: ClipBatch) -> Any:
        is_half = self.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half):
            return self.learner.encode(network, batch)

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
                f"no clip of this batch has what the loss compares: videos {batch.video_ids[:5]}"
            )
        fault = find_kept_out(batch, self.device)
        return StepResult(lr, math.nan, {}, num_kept_out, fault)
