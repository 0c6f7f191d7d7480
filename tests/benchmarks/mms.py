"""The MMS loss over the clips of a batch, forwards and backwards, beside its formula as it stands.

The formula takes the logarithm of both softmaxes of the whole matrix and then its diagonal.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mcn.losses import mms_loss
from tests.benchmarks.result import Result, durations
from tests.benchmarks.timing import take_turns

MARGIN = 1e-3


@dataclass(frozen=True, kw_only=True)
class Size:
    """Clips of a batch; the matrix has their square."""

    num_clips: int
    rounds: int


# 32 clips of each of 128 videos.
FULL = Size(num_clips=4096, rounds=7)
QUICK = Size(num_clips=128, rounds=2)


def measure(*, quick: bool) -> list[Result]:
    """Seconds of the loss and its gradient by a matrix of similarities."""
    size = QUICK if quick else FULL
    similarity = torch.randn(size.num_clips, size.num_clips).requires_grad_()
    contenders = {
        "mms_loss": partial(_gradient, mms_loss, similarity),
        "the formula": partial(_gradient, by_its_formula, similarity),
    }
    ours, formula = (run() for run in contenders.values())
    torch.testing.assert_close(ours, formula)
    timings = take_turns(contenders, rounds=size.rounds)
    measured = (
        f"{size.num_clips:,}^2 float32, forwards and backwards; {size.rounds} rounds, "
        f"{torch.get_num_threads()} threads"
    )
    return [Result(title="MMS loss", measured=measured, rows=durations(timings))]


def _gradient(loss: object, similarity: Tensor) -> Tensor:
    assert callable(loss)
    (gradient,) = torch.autograd.grad(loss(similarity), similarity)
    return gradient


def by_its_formula(similarity: Tensor) -> Tensor:
    """Mean negative logarithm of a clip's own probability, by rows and by columns."""
    logits = similarity - MARGIN * torch.eye(len(similarity))
    by_rows = torch.log(torch.softmax(logits, dim=1)).diagonal()
    by_columns = torch.log(torch.softmax(logits, dim=0)).diagonal()
    return -by_rows.mean() - by_columns.mean()
