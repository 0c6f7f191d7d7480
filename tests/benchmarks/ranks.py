"""Ranks of retrieval beside the metric that sorts every row, as the publications' code does.

The peer is right where no scores are equal, as here; with ties it is not (see mcn/evaluation).
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mcn.evaluation.retrieval import ranks
from tests.benchmarks.result import Result, durations
from tests.benchmarks.timing import take_turns


@dataclass(frozen=True, kw_only=True)
class Size:
    """Clips of a benchmark; the matrix has their square."""

    num_clips: int
    rounds: int
    warm_up_rounds: int = 1


# YouCook2 has 3,350 clips. Sorting the large matrix takes a minute or two, and what ran before it
# has warmed up.
FULL = (Size(num_clips=3350, rounds=7), Size(num_clips=20_000, rounds=1, warm_up_rounds=0))
QUICK = (Size(num_clips=500, rounds=3), Size(num_clips=2000, rounds=2))


def measure(*, quick: bool) -> list[Result]:
    """Seconds for the ranks of all clips of a float32 matrix."""
    _check_all_give_the_same(_untied(100))
    return [_measure(size) for size in (QUICK if quick else FULL)]


def _measure(size: Size) -> Result:
    similarity = _untied(size.num_clips)
    contenders = {
        "mcn ranks": partial(ranks, similarity),
        "numpy sort": partial(ranks_by_numpy, similarity),
        "torch sort": partial(ranks_by_torch, similarity),
    }
    timings = take_turns(contenders, rounds=size.rounds, warm_up_rounds=size.warm_up_rounds)
    return Result(
        title=f"ranks, {size.num_clips:,} clips",
        measured=f"{size.num_clips:,}^2 float32 without ties; {size.rounds} rounds, "
        f"{torch.get_num_threads()} threads (numpy sorts with one)",
        rows=durations(timings),
    )


def _check_all_give_the_same(similarity: Tensor) -> None:
    expected = ranks(similarity)
    assert expected.equal(ranks_by_numpy(similarity))
    assert expected.equal(ranks_by_torch(similarity))


def ranks_by_numpy(similarity: Tensor) -> Tensor:
    """Position of the own score in each row, sorted so that the best comes first."""
    scores = -similarity.numpy()
    in_order = np.sort(scores, axis=1)
    return torch.from_numpy(np.where(in_order == np.diag(scores)[:, None])[1])


def ranks_by_torch(similarity: Tensor) -> Tensor:
    """Position of the own index in each row's order."""
    order = similarity.argsort(dim=1, descending=True)
    return (order == torch.arange(len(order))[:, None]).nonzero()[:, 1]


def _untied(num_clips: int) -> Tensor:
    """Each row a permutation of as many different numbers."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(num_clips, generator=generator).float()
    shifts = torch.randint(num_clips, (num_clips,), generator=generator)
    columns = torch.arange(num_clips)
    return torch.stack([rows[(columns + shift) % num_clips] for shift in shifts])
