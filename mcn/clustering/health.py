"""What tells a good clustering from one that has collapsed, as numbers in [0, 1]."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def assignment_entropy(assignments: Int[Tensor, " rows"], *, clusters: int) -> float:
    """Entropy of the clusters' sizes over the most that it can be.

    1 where all are of one size, 0 where one has all rows. Rows assigned -1 do not count.
    """
    if clusters == 1:
        return 1.0
    sizes = torch.bincount(assignments[assignments >= 0], minlength=clusters)
    return _entropy(sizes) / math.log(clusters)


def normalized_mutual_information(left: Int[Tensor, " rows"], right: Int[Tensor, " rows"]) -> float:
    """How much two assignments of the same rows say about each other, whatever their numbering.

    Mutual information over the mean of both entropies: 1 for the same partition, near 0 for
    independent ones; two partitions without any division are the same. Rows that either one
    assigns to -1 do not count.
    """
    both = (left >= 0) & (right >= 0)
    left, right = left[both], right[both]
    if len(left) == 0:
        return 1.0
    num_right = int(right.max()) + 1
    pairs = torch.bincount(left * num_right + right)
    left_entropy = _entropy(torch.bincount(left))
    right_entropy = _entropy(torch.bincount(right))
    if left_entropy + right_entropy == 0:
        return 1.0
    information = left_entropy + right_entropy - _entropy(pairs)
    # Rounding may lead beyond either end.
    return min(1.0, max(0.0, 2 * information / (left_entropy + right_entropy)))


def _entropy(sizes: Int[Tensor, " parts"]) -> float:
    """In nats."""
    shares: Float[Tensor, " parts"] = sizes[sizes > 0].double()
    shares = shares / shares.sum()
    return float(-(shares * shares.log()).sum())
