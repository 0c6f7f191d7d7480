"""What is right of those who know nothing but how frequent the classes are in training."""

import numpy as np
from jaxtyping import Int64

TOP = (1, 5)
"""How many classes may be named."""


def majority_accuracy(
    train_labels: Int64[np.ndarray, " train_videos"],
    test_labels: Int64[np.ndarray, " test_videos"],
    num_named: int,
) -> float:
    """Share of the test videos of which the most frequent training classes have the class.

    Where equally frequent classes compete for the last places, each is named as often as the
    others.
    """
    num_classes = int(max(train_labels.max(), test_labels.max())) + 1
    frequency = np.bincount(train_labels, minlength=num_classes)
    last = np.sort(frequency)[::-1][min(num_named, num_classes) - 1]
    places_left = num_named - np.count_nonzero(frequency > last)
    named = np.where(frequency > last, 1.0, 0.0)
    named[frequency == last] = min(1.0, places_left / np.count_nonzero(frequency == last))
    return float(named[test_labels].mean())
