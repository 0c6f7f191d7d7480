"""A caption is often too short for a clip: it grows over its neighbours.

Growth follows the published sampler of MCN, with one difference: words come in the order
in which they are spoken. The publication appends them in the order of growth, so that a clip that
grew backwards has its sentences the wrong way round.
"""

import numpy as np

from mcn.data.captions import Captions, Seconds
from mcn.data.words import tokenize


def grow_caption_range(
    start_seconds: Seconds, end_seconds: Seconds, index: int, *, min_seconds: float | int
) -> tuple[int, int]:
    """The half-open range of captions that make up the clip around caption `index`.

    While the clip, from the start of its first caption to the end of its last, is shorter than
    `min_seconds`, it takes in the caption before or after it, whichever leaves it shorter; the one
    before where both leave it equally long. It stays shorter where there are no more.

    Args:
        start_seconds: When each caption starts.
        end_seconds: When each ends.
        index: The caption to start from.
        min_seconds: Length at which growth stops.
    """
    num_captions = len(start_seconds)
    if not 0 <= index < num_captions:
        raise IndexError(f"there is no caption {index} among {num_captions}")
    first, last = index, index
    while end_seconds[last] - start_seconds[first] < min_seconds:
        has_before, has_after = first > 0, last + 1 < num_captions
        if has_before and has_after:
            with_before = end_seconds[last] - start_seconds[first - 1]
            with_after = end_seconds[last + 1] - start_seconds[first]
            has_before = with_before <= with_after
        if has_before:
            first -= 1
        elif has_after:
            last += 1
        else:
            break
    return first, last + 1


def nearest_captions(
    start_seconds: Seconds, end_seconds: Seconds, own: tuple[int, int], *, number: int
) -> list[int]:
    """Captions outside the half-open range `own`, those first whose middle is nearest to its own.

    There are fewer than `number` where the video has no more; of two that are equally near the
    earlier one comes first.
    """
    first, stop = own
    middle = (start_seconds[first] + end_seconds[stop - 1]) / 2
    distances = np.abs(np.add(start_seconds, end_seconds) / 2 - middle)
    distances[first:stop] = np.inf
    nearest = distances.argsort(kind="stable")[: len(distances) - (stop - first)]
    found: list[int] = nearest[:number].tolist()
    return found


def grow_window(
    captions: Captions, index: int, *, min_seconds: float | int
) -> tuple[float, float, list[str]]:
    """Start and end in seconds of the clip around caption `index`, and its words in time order.

    Args:
        captions: Of one video, in the order of time.
        index: The caption to start from.
        min_seconds: Least length, reached by taking in neighbours (`grow_caption_range`).
    """
    first, stop = grow_caption_range(
        captions.start_seconds, captions.end_seconds, index, min_seconds=min_seconds
    )
    words = [word for text in captions.texts[first:stop] for word in tokenize(text)]
    start_seconds, end_seconds = captions.start_seconds[first], captions.end_seconds[stop - 1]
    return float(start_seconds), float(end_seconds), words
