"""Text features: the number of every known word of every caption."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractors.words import Vocabulary
from mcn.data.captions import Captions
from mcn.data.words import tokenize
from mcn.store.record import SPAN


def caption_features(
    captions: Captions, words: Vocabulary
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """The numbers of all words in reading order (words, 1), and a SPAN for every caption.

    A caption without a known word has a span of no rows, so that spans and captions are one to
    one. Words are neither cut off after a number of them nor stripped of stop words.
    """
    rows = [words.numbers(tokenize(text)) for text in captions.texts]
    spans = np.zeros(len(captions), SPAN)
    spans["start_seconds"] = captions.start_seconds
    spans["end_seconds"] = captions.end_seconds
    spans["num_rows"] = [len(caption) for caption in rows]
    flat = np.array([row for caption in rows for row in caption], np.int32)
    return flat[:, None], spans
