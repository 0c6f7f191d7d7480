"""One process per GPU, in the words of torchrun: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE.

Whoever starts the processes sets these; without them there is one process, and every function
here does what one process needs. CPUS_PER_RANK may say how many processors each of them has.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from jaxtyping import Num, Shaped
from torch import Tensor

from mcn.stop import StoppedEarlyError, StopRequest, stop_on_signal


def rank() -> int:
    """Number of this process, 0 where it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def num_local_ranks() -> int:
    """How many of the processes are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def cpus_of_rank() -> int:
    """Processors of this process: as it was told, else its share of those that it may use."""
    told = os.environ.get("CPUS_PER_RANK")
    return int(told) if told else max(1, len(os.sched_getaffinity(0)) // num_local_ranks())


def device_type(asked: Literal["auto", "cuda", "cpu"]) -> Literal["cuda", "cpu"]:
    """Where a process trains; `auto` is a GPU where torch sees one."""
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return asked


@contextmanager
def process_group(device_type: Literal["cuda", "cpu"] = "cpu") -> Iterator[torch.device]:
    """Join the other processes, if any, for the length of the block; yields this one's device.

    From then on convolutions in float32 are of full precision on GPUs too, as products are, and
    not in TF32, which rounds to three digits.
    """
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(device_type)
    if device_type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
        # Convolutions have backward passes that are faster and never the same twice.
        torch.backends.cudnn.deterministic = True
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield device
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
        dist.barrier()  # nobody leaves while another still needs an answer
    finally:
        dist.destroy_process_group()


@contextmanager
def stoppable_group(
    device_type: Literal["cuda", "cpu"],
) -> Iterator[tuple[torch.device, StopRequest]]:
    """Join the other processes; until the last of them has left, signals only ask to stop.

    Raises:
        StoppedEarlyError: One of them was asked before all were there; nothing has begun.
    """
    with stop_on_signal() as stop, process_group(device_type) as device:
        if agree_to_stop(stop, device):
            raise StoppedEarlyError("asked to stop before it began; the same command carries on")
        yield device, stop


def agree_to_stop(stop: StopRequest, device: torch.device) -> bool:
    """Whether a signal asked any rank to stop; every rank has to ask.

    If so, all of them count as asked: the signal reaches the nodes one after the other, and a rank
    that is on its way out already must not be ended by its own.
    """
    if not dist.is_initialized():
        return stop.is_set
    asked = torch.tensor(int(stop.is_set), device=device)
    dist.all_reduce(asked, op=dist.ReduceOp.MAX)
    agreed = bool(asked.item())
    if agreed:
        stop.is_set = True
    return agreed


PATIENCE = timedelta(days=7)


def patient_group() -> dist.ProcessGroup | None:
    """All ranks, by gloo, for tensors on the processor; every rank has to ask.

    In it they wait for each other as long as one of them computes alone, which may be far longer
    than what shows that a rank is gone elsewhere. One that ends is noticed at once here too.
    """
    return dist.new_group(backend="gloo", timeout=PATIENCE) if dist.is_initialized() else None


def bring_to_first(
    local: Num[Tensor, "*shape"], group: dist.ProcessGroup | None
) -> list[Num[Tensor, "*shape"]]:
    """On rank 0 what every rank gives, in rank order; on the others nothing."""
    if group is None:
        return [local]
    received = [torch.empty_like(local) for _ in range(world_size())] if rank() == 0 else None
    dist.gather(local, received, dst=0, group=group)
    return received or []


def tell_from_first(values: Num[Tensor, "*shape"], group: dist.ProcessGroup | None) -> None:
    """Write what rank 0 has there over what the others have, in place."""
    if group is not None:
        dist.broadcast(values, src=0, group=group)


def sum_over_ranks(local: Num[Tensor, "*shape"]) -> Num[Tensor, "*shape"]:
    """The sum of what every rank gives, the same on all of them; no gradient."""
    total = local.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total


def gather_lines(local: list[str], device: torch.device) -> list[str]:
    """The lines of every rank, in rank order; every rank has to ask."""
    text = "".join(f"{line}\n" for line in local).encode()
    gathered = gather(torch.tensor(list(text), dtype=torch.uint8, device=device))
    return bytes(gathered.tolist()).decode().split("\n")[:-1]


def gather(local: Shaped[Tensor, "local ..."]) -> Shaped[Tensor, "world ..."]:
    """Rows of every rank, in rank order; gradients return to the rank that a row came from.

    Ranks may hold different numbers of rows. A loss over gathered rows has the same value on
    every rank, and after DDP has averaged the gradients they are those of a single process.
    """
    if not dist.is_initialized():
        return local
    counts = torch.zeros(world_size(), dtype=torch.long, device=local.device)
    counts[rank()] = len(local)
    dist.all_reduce(counts)
    gathered: Tensor = _Gather.apply(local, counts.tolist())
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        longest = max(counts)
        # gloo knows no booleans and ranks must send equally many rows.
        sent = local.to(torch.uint8) if local.dtype == torch.bool else local
        padded = sent.new_zeros((longest, *local.shape[1:]))
        padded[: len(local)] = sent
        received = padded.new_empty((len(counts) * longest, *local.shape[1:]))
        dist.all_gather_into_tensor(received, padded)
        kept = (
            [part[:count] for part, count in zip(received.split(longest), counts, strict=True)]
            if longest
            else [received]
        )
        return torch.cat(kept).to(local.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad = grads[0].contiguous().clone()
        dist.all_reduce(grad)
        return grad.split(ctx.counts)[dist.get_rank()], None
