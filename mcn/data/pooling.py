"""Pools rows of a video over many clips at once, each of which is a range of the rows."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int16, Int64

GREATEST_FINITE = np.int16(0x7BFF)
"""The place of 65504 in the order of float16, and of -65504 its complement."""


def pool_max(
    rows: Float[np.ndarray, "rows dim"], ranges: Int64[np.ndarray, "clips 2"]
) -> Float[np.ndarray, "clips dim"]:
    """The greatest of each column in each half-open range, none of which is empty.

    Half precision numbers are compared as integers in the same order, forty times faster than
    NumPy compares them. NaN has no place in it, and is the greatest of every range that holds one.
    """
    if rows.dtype != np.float16:
        return _pool_max_by_numpy(rows, ranges)
    places = _in_order(rows.view(np.int16))
    if places.max() > GREATEST_FINITE or places.min() < ~GREATEST_FINITE:
        return _pool_max_by_numpy(rows, ranges)
    pooled = np.empty((len(ranges), rows.shape[1]), np.int16)
    for place, (first, stop) in enumerate(ranges.tolist()):
        np.maximum.reduce(places[first:stop], axis=0, out=pooled[place])
    return _in_order(pooled).view(np.float16)


def pool_mean(
    rows: Float[np.ndarray, "rows dim"], ranges: Int64[np.ndarray, "clips 2"]
) -> Float32[np.ndarray, "clips dim"]:
    """The mean of each column in each half-open range, none of which is empty.

    The rows of a range are added one after the other, whatever other ranges there are: a clip has
    the same bits alone and among others.
    """
    counts = ranges[:, 1] - ranges[:, 0]
    starts = np.cumsum(counts) - counts
    members = np.arange(counts.sum()) + np.repeat(ranges[:, 0] - starts, counts)
    # torch widens half precision several times faster than NumPy.
    widened = torch.from_numpy(rows).float()
    sums = F.embedding_bag(torch.from_numpy(members), widened, torch.from_numpy(starts), mode="sum")
    pooled: np.ndarray = sums.numpy() / counts[:, None].astype(np.float32)
    return pooled


def _in_order(bits: Int16[np.ndarray, "rows dim"]) -> Int16[np.ndarray, "rows dim"]:
    """Bits of float16 as integers in the order of the numbers, and the way back.

    Negative numbers have a sign and a magnitude, which grows where they get smaller.
    """
    flipped = bits >> 15
    flipped &= 0x7FFF
    flipped ^= bits
    return flipped


def _pool_max_by_numpy(
    rows: Float[np.ndarray, "rows dim"], ranges: Int64[np.ndarray, "clips 2"]
) -> Float[np.ndarray, "clips dim"]:
    return np.stack([rows[first:stop].max(axis=0) for first, stop in ranges.tolist()])
