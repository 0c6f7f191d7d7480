"""Batch norm over what is sound and not padding, and over the clips of all ranks.

torch's own counts padding, and its SyncBatchNorm does not run on processors. Names of parameters
and results without padding on one process are those of `nn.BatchNorm2d`.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcn.training.distributed import sum_over_ranks, world_size

OVER_CHANNELS = (0, 2, 3)


class BatchNorm(nn.BatchNorm2d):
    """Told which frames are sound, it gives zero for all others and leaves them out of its
    statistics, which are then those of the clips of all ranks; every rank has to take part.

    Not told, it is `nn.BatchNorm2d`.
    """

    def forward(
        self,
        x: Float[Tensor, "batch channels height frames"],
        is_sound: Bool[Tensor, "batch 1 1 frames"] | None = None,
    ) -> Float[Tensor, "batch channels height frames"]:
        if is_sound is None:
            return super().forward(x)
        if not self.training:
            return torch.where(is_sound, super().forward(x), 0)
        normalised: Tensor
        normalised, *moments = _Normalise.apply(x, is_sound, self.weight, self.bias, self.eps)
        self._remember(*moments)
        return normalised

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the statistics for evaluation, but not where there was nothing."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        momentum = self.momentum * (count > 0)
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean += (mean - self.running_mean) * momentum
        self.running_var += (unbiased - self.running_var) * momentum
        self.num_batches_tracked += 1


def normalise_rows(
    norm: BatchNorm, rows: Float[Tensor, "batch channels"], is_sound: Bool[Tensor, " batch"]
) -> Float[Tensor, "batch channels"]:
    """Rows as maps of one frame each."""
    normalised: Tensor = norm(rows[:, :, None, None], is_sound[:, None, None, None])
    return normalised[:, :, 0, 0]


class _Normalise(torch.autograd.Function):
    """In float32 or more; sums over all ranks, forwards and backwards."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, is_sound: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = _widened(x)
        sums = (wide * is_sound).sum(dim=OVER_CHANNELS)
        count = is_sound.sum().to(wide.dtype) * x.shape[2]
        *totals, count = sum_over_ranks(torch.cat((sums, count[None]))).split([len(sums), 1])
        mean = totals[0] / count.clamp(min=1)
        squares = (_centred(wide, mean, is_sound)).square().sum(dim=OVER_CHANNELS)
        variance = sum_over_ranks(squares) / count.clamp(min=1)
        inverse_std = (variance + eps).rsqrt()
        ctx.save_for_backward(x, is_sound, weight, mean, inverse_std, count)
        scaled = _centred(wide, mean, is_sound) * _per_channel(inverse_std * weight)
        normalised = (scaled + _per_channel(bias)) * is_sound
        ctx.mark_non_differentiable(mean, variance, count)
        return normalised.to(x.dtype), mean, variance, count

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor, *_: Tensor
    ) -> tuple[Tensor, None, Tensor, Tensor, None]:
        x, is_sound, weight, mean, inverse_std, count = ctx.saved_tensors
        gradient = _widened(gradient) * is_sound
        unit = _centred(_widened(x), mean, is_sound) * _per_channel(inverse_std)
        of_bias = gradient.sum(dim=OVER_CHANNELS)
        of_weight = (gradient * unit).sum(dim=OVER_CHANNELS)
        # Those of the parameters stay this rank's own: DDP takes their mean over the ranks.
        shift, slope = sum_over_ranks(torch.stack((of_bias, of_weight))) / count.clamp(min=1)
        of_x = gradient - _per_channel(shift) - unit * _per_channel(slope)
        of_x = of_x * _per_channel(inverse_std * weight) * is_sound
        return of_x.to(x.dtype), None, of_weight, of_bias, None


def _widened(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _centred(x: Tensor, mean: Tensor, is_sound: Tensor) -> Tensor:
    return (x - _per_channel(mean)) * is_sound


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None]


class ClipBatchNorm(BatchNorm):
    """Over all of the clips of all ranks, whatever the dimensions of what is normalised.

    On one process it is torch's own. There may be no clips on a rank, or on any.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "clips channels *size"]
    ) -> Float[Tensor, "clips channels *size"]:
        if not self.training or (world_size() == 1 and len(x)):
            return nn.BatchNorm2d.forward(self, x)
        maps = x.flatten(start_dim=2)[:, :, None]
        is_there = torch.ones(len(x), 1, 1, maps.shape[3], dtype=torch.bool, device=x.device)
        return super().forward(maps, is_there).view_as(x)
