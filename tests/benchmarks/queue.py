"""Past embeddings in a queue, beside one that moves all of its rows at each step.

So the publication's does: rows make place for the newest at the front, and are put together with
the batch for clustering. The ring buffer writes the newest where the oldest were and is clustered
as it stands.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mcn.clustering import FeatureQueue
from tests.benchmarks.result import Result, durations
from tests.benchmarks.timing import take_turns


@dataclass(frozen=True, kw_only=True)
class Size:
    """Rows held and pushed."""

    held: int
    pushed: int
    dim: int
    rounds: int


# As published: 16 clips of each of 128 videos a step, of 20 steps.
FULL = Size(held=40_960, pushed=2048, dim=6144, rounds=5)
QUICK = Size(held=512, pushed=64, dim=32, rounds=2)


def measure(*, quick: bool) -> list[Result]:
    """Seconds of a step of the queue, ready to be clustered."""
    size = QUICK if quick else FULL
    rows = torch.randn(size.pushed, size.dim)
    contenders = {
        "FeatureQueue": partial(_ring, FeatureQueue(size.held, size.dim), rows),
        "rows move up": partial(_move_up, torch.zeros(size.held, size.dim), rows),
    }
    timings = take_turns(contenders, rounds=size.rounds)
    measured = (
        f"{size.pushed:,} rows into a queue of {size.held:,} x {size.dim} float32; "
        f"{size.rounds} rounds, {torch.get_num_threads()} threads"
    )
    return [Result(title="queue", measured=measured, rows=durations(timings))]


def _ring(queue: FeatureQueue, rows: Tensor) -> Tensor:
    queue.push(rows)
    return queue.filled()


def _move_up(held: Tensor, rows: Tensor) -> Tensor:
    held[len(rows) :] = held[: -len(rows)].clone()
    held[: len(rows)] = rows
    return torch.cat((rows, held))
