"""Pools rows of a video over many clips at once, each of which is a range of the rows."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64
from torch import Tensor


def pool_max(
    rows: Float32[Tensor, "rows dim"], ranges: Int64[np.ndarray, "clips 2"]
) -> Float32[np.ndarray, "clips dim"]:
    """The greatest of each column in each half-open range, none of which is empty."""
    pooled = np.empty((len(ranges), rows.shape[1]), np.float32)
    values = rows.numpy()
    for place, (first, stop) in enumerate(ranges.tolist()):
        np.maximum.reduce(values[first:stop], axis=0, out=pooled[place])
    return pooled


def pool_mean(
    rows: Float32[Tensor, "rows dim"], ranges: Int64[np.ndarray, "clips 2"]
) -> Float32[np.ndarray, "clips dim"]:
    """The mean of each column in each half-open range, none of which is empty.

    The rows of a range are added one after the other, whatever other ranges there are: a clip has
    the same bits alone and among others.
    """
    counts = ranges[:, 1] - ranges[:, 0]
    starts = np.cumsum(counts) - counts
    members = np.arange(counts.sum()) + np.repeat(ranges[:, 0] - starts, counts)
    sums = F.embedding_bag(torch.from_numpy(members), rows, torch.from_numpy(starts), mode="sum")
    pooled: np.ndarray = sums.numpy() / counts[:, None].astype(np.float32)
    return pooled
