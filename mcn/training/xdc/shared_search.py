"""The search for nearest centroids, shared by all ranks: rank 0 leads, and the others serve.

Of k-means it is nearly all the work. Everything else of it is done by rank 0, as if it were alone:
it sends each rank a share of the rows, then centroids again and again, and gets labels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from itertools import pairwise

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor

from mcn.clustering.engines import Engine, Nearest
from mcn.clustering.torch_engine import ROWS_AT_ONCE
from mcn.training.distributed import gather, rank, tell_from_first, world_size

ROWS_SENT_AT_ONCE = 16 * ROWS_AT_ONCE
"""Few enough that copies of them need no room to speak of."""


NUMBERS = 3
"""That may come with an order."""


class Order(IntEnum):
    """What rank 0 has the others do, and which numbers come with it."""

    HOLD = 0
    """A share of the rows: how many all ranks hold, of which dimension, and 1 for by cosine."""
    COMPARE = 1
    """The rows held with centroids: how many."""
    END = 2
    FAIL = 3
    """As rank 0 did: 1 for by a ValueError, and how many bytes tell of it."""


@contextmanager
def shared_search(
    engine: Engine, device: torch.device, group: dist.ProcessGroup | None
) -> Iterator[Engine | None]:
    """On rank 0 an engine that has every rank search with its own; every rank has to enter.

    Elsewhere None, after the rank has served until rank 0 left the block. One set of rows is held
    at a time. Labels are those that one rank finds, bit by bit, where an engine compares so many
    rows at once as `ROWS_AT_ONCE` says, as both do on processors.

    Raises:
        ValueError: Rank 0 raised one in the block; on every rank.
        RuntimeError: Rank 0 raised something else in the block, or is gone; elsewhere.

    Args:
        engine: Of this rank.
        device: Of this rank; where its rows are held.
        group: In which the others wait for orders, for as long as it takes.
    """
    if group is None:
        yield engine
    elif rank() != 0:
        _serve(engine, device, group)
        yield None
    else:
        try:
            yield _Leader(engine, group)
        except Exception as error:
            is_input = isinstance(error, ValueError)
            message = str(error) if is_input else f"rank 0 failed: {error!r}"
            told = torch.tensor(list(message.encode()), dtype=torch.uint8)
            _order(group, Order.FAIL, int(is_input), len(told))
            tell_from_first(told, group)
            raise
        _order(group, Order.END)


class _Leader:
    """An engine whose rows lie with all ranks."""

    def __init__(self, engine: Engine, group: dist.ProcessGroup) -> None:
        self.engine = engine
        self.group = group
        self.num_held = 0

    def __call__(self, rows: Float[Tensor, "rows dim"], *, spherical: bool) -> Nearest:
        _order(self.group, Order.HOLD, *rows.shape, int(spherical))
        own, *others = (rows[share] for share in shares(len(rows)))
        for receiver, share in enumerate(others, start=1):
            for part in _parts(share):
                dist.send(part.contiguous(), receiver)
        find = self.engine(own, spherical=spherical)
        self.num_held += 1
        number = self.num_held

        def nearest(centroids: Float[Tensor, "clusters dim"]) -> Int[Tensor, " rows"]:
            assert number == self.num_held, "other ranks hold later rows"
            _order(self.group, Order.COMPARE, len(centroids))
            dist.broadcast(centroids.contiguous(), 0)
            return gather(find(centroids))

        return nearest


def _serve(engine: Engine, device: torch.device, group: dist.ProcessGroup) -> None:
    """Do what rank 0 orders, until it ends or fails."""
    rows: Tensor | None = None
    find: Nearest | None = None
    while True:
        order, *numbers = _ordered(group)
        if order == Order.HOLD:
            num_rows, dim, spherical = numbers
            own = shares(num_rows)[rank()]
            rows = find = None  # before there is room for others
            rows = torch.empty(own.stop - own.start, dim, device=device)
            for part in _parts(rows):
                dist.recv(part, 0)
            find = engine(rows, spherical=bool(spherical))
        elif order == Order.COMPARE:
            assert rows is not None and find is not None, "centroids came before rows"
            centroids = rows.new_empty(numbers[0], rows.shape[1])
            dist.broadcast(centroids, 0)
            gather(find(centroids))
        elif order == Order.FAIL:
            is_input, num_bytes, _ = numbers
            told = torch.empty(num_bytes, dtype=torch.uint8)
            tell_from_first(told, group)
            message = bytes(told.tolist()).decode()
            raise ValueError(message) if is_input else RuntimeError(message)
        else:
            return


def shares(num_rows: int) -> list[slice]:
    """Of every rank; cut where engines cut too, so that all products are those of one rank."""
    num_parts, num_ranks = -(-num_rows // ROWS_AT_ONCE), world_size()
    cuts = [ROWS_AT_ONCE * (num_parts * number // num_ranks) for number in range(num_ranks)]
    return [slice(*cut) for cut in pairwise([*cuts, num_rows])]


def _parts(share: Tensor) -> Sequence[Tensor]:
    """What is sent of a share, one after the other; nothing of an empty one."""
    return share.split(ROWS_SENT_AT_ONCE) if len(share) else ()


def _order(group: dist.ProcessGroup, order: Order, *numbers: int) -> None:
    told = torch.zeros(1 + NUMBERS, dtype=torch.int64)
    told[: 1 + len(numbers)] = torch.tensor([order, *numbers])
    tell_from_first(told, group)


def _ordered(group: dist.ProcessGroup) -> list[int]:
    told = torch.zeros(1 + NUMBERS, dtype=torch.int64)
    tell_from_first(told, group)
    return told.tolist()
