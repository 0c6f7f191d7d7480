"""Brings a batch to the device while the one before is still at work there."""

from functools import cache

import torch
from jaxtyping import Shaped
from torch import Tensor


def to_device(
    batch: Shaped[Tensor, "batch ..."], device: torch.device
) -> Shaped[Tensor, "batch ..."]:
    """The batch on the device; what is asked of the device from now on waits for it."""
    if device.type != "cuda":
        return batch.to(device)
    # Out of pinned memory and on a stream of its own, or the copy would wait for the batch before.
    copies, work = _copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(copies):
        there = batch.pin_memory().to(device, non_blocking=True)
    work.wait_stream(copies)
    there.record_stream(work)
    return there


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
