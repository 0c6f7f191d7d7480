"""Text features: a word vector for every known word of every caption."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractors.words import WordVectors
from mcn.data.captions import Captions
from mcn.data.words import tokenize
from mcn.store.record import SPAN


def caption_features(
    captions: Captions, words: WordVectors
) -> tuple[NDArray[np.float16], NDArray[Any]]:
    """The vectors of all words in reading order (words, dim), and a SPAN for every caption.

    A caption without a known word has a span of no rows, so that spans and captions are one to
    one. Words are neither cut off after a number of them nor stripped of stop words.
    """
    rows = [words.rows(tokenize(text)) for text in captions.texts]
    spans = np.zeros(len(captions), SPAN)
    spans["start_seconds"] = captions.start_seconds
    spans["end_seconds"] = captions.end_seconds
    spans["num_rows"] = [len(caption) for caption in rows]
    flat = np.array([row for caption in rows for row in caption], np.int64)
    return words.vectors[flat].astype(np.float16), spans
