"""How well queries find their own item: ranks, recall at k, median rank, and what chance gives.

Row `i` and column `i` of a similarity matrix are the same clip. Whatever is not strictly worse
than a query's own item counts against it: a collapsed or diverged model scores nothing.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

RECALL_AT = (1, 5, 10)

METRICS = (*(f"R@{k}" for k in RECALL_AT), "MedR")
"""Names in the order in which tables show them."""

# A block of rows stays in the processor's cache between comparing and counting: at 20,000 clips
# 64 rows were ten times as fast as 256, and a hundred times as fast as sorting.
ROWS_PER_CHUNK = 64


def ranks(similarity: Float[Tensor, "clips clips"]) -> Int[Tensor, " clips"]:
    """How many wrong items come before each query's own one: 0 is best.

    Rows are queries, and their own item is on the diagonal. Ties and rivals that are NaN count as
    ahead; a query whose own score is NaN gets the number of clips, one worse than the last place.

    Raises:
        ValueError: There are not as many items as queries.
    """
    if similarity.shape != 2 * similarity.shape[:1]:
        raise ValueError(
            f"a similarity of shape {tuple(similarity.shape)} has no diagonal on which each query "
            "finds its own item: as many rows as columns are needed"
        )
    num_clips = len(similarity)
    own = similarity.diagonal()
    worse = [
        torch.count_nonzero(rows < own_of_rows[:, None], dim=1)
        for rows, own_of_rows in zip(
            similarity.split(ROWS_PER_CHUNK), own.split(ROWS_PER_CHUNK), strict=True
        )
    ]
    ahead = num_clips - 1 - torch.cat(worse)
    return torch.where(own.isnan(), num_clips, ahead)


def metrics_of_ranks(ranks: Int[Tensor, " queries"]) -> dict[str, float]:
    """R@k in [0, 1], and the median rank counted from 1, of ranks counted from 0.

    An even number of queries has the mean of its middle two as median.

    Raises:
        ValueError: There is no query.
    """
    num_queries = len(ranks)
    if num_queries == 0:
        raise ValueError("no query, and so no metric: the benchmark has no clip")
    recalls = {f"R@{k}": int((ranks < k).sum()) / num_queries for k in RECALL_AT}
    middle = ranks.sort().values[(num_queries - 1) // 2 : num_queries // 2 + 1]
    return recalls | {"MedR": middle.double().mean().item() + 1}


def retrieval_metrics(similarity: Float[Tensor, "clips clips"]) -> dict[str, float]:
    """R@1, R@5 and R@10 in [0, 1], and MedR counted from 1, for rows that query columns."""
    return metrics_of_ranks(ranks(similarity))


def chance(num_clips: int) -> dict[str, float]:
    """The metrics that a random order of the clips has on average, exactly."""
    recalls = {f"R@{k}": min(k / num_clips, 1.0) for k in RECALL_AT}
    return recalls | {"MedR": (num_clips + 1) / 2}
