"""Captions as records of the store."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version

import numpy as np

from extractors.text import caption_features
from extractors.words import Vocabulary
from mcn.data.captions import Captions
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import SPAN, Record

RECIPE_VERSION = 2
"""Raise it when the code makes other rows of the same captions."""


class TextRecords:
    """The words of every caption of each video, by number."""

    def __init__(self, captions: Mapping[str, Captions], words: Vocabulary) -> None:
        """Takes the captions of all videos that may be asked for."""
        self.captions = captions
        self.words = words
        self.fingerprint = Fingerprint(
            extractor="text-word2vec",
            weights_sha256=words.sha256,
            dim=1,
            rows_per_second=None,
            recipe={"version": RECIPE_VERSION},
            row_type="int32",
        )
        self.provenance: dict[str, str | int | float] = {"numpy": version("numpy")}

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        for video_id in video_ids:
            features, spans = caption_features(self.captions[video_id], self.words)
            if len(features):
                yield Record(video_id, "done", "", 1.0, features, spans)
            else:
                yield Record(video_id, "failed", "no-known-words", 1.0, features, np.zeros(0, SPAN))
