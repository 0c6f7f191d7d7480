"""Reads what clips need from the stores of all modalities, words included."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from mcn.data.batches import NO_WORD
from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.data.media_reader import MediaReader
from mcn.data.stores import Stores
from mcn.store.word_table import WordTable


class ClipReader(MediaReader):
    """Clips and their captions, from one store a modality."""

    def __init__(self, stores: Stores, form: ClipForm = DEFAULT_FORM) -> None:
        """Takes the stores, and the form in which clips are wanted.

        Raises:
            ValueError: Spectrograms are wanted and not stored, or the other way round.
        """
        super().__init__(stores, form)
        text = stores["text"]
        self.words = WordTable.below(text.folder.parent, text.fingerprint)
        self.dims["text"] = self.words.dim

    @cached_property
    def word_vectors(self) -> Float[Tensor, "words text_dim"]:
        """The vectors of all words that batches have by number, mapped from the table's file.

        Raises:
            ValueError: They are not as they were written.
        """
        return torch.from_numpy(self.words.checked_vectors())

    def caption_words(
        self, video_id: str, ranges: Sequence[tuple[int, int]], *, max_words: int
    ) -> Int32[np.ndarray, "ranges max_words"]:
        """The words of each half-open range of captions by number, cut off after so many."""
        words = np.full((len(ranges), max_words), NO_WORD, np.int32)
        if not ranges:
            return words
        num_rows = self.stores["text"].spans(video_id)["num_rows"]
        places = np.append(0, np.cumsum(num_rows))[np.asarray(ranges)]
        begin, end = int(places.min()), int(places.max())
        numbers = self.stores["text"].read(video_id, begin, end)[:, 0]
        if len(numbers) and numbers.max() >= self.words.num_words:
            raise ValueError(
                f"video {video_id!r} in {self.stores['text'].folder} has words that are not in "
                f"{self.words.folder}"
            )
        at = places[:, :1] - begin + np.arange(max_words)
        is_word = at < places[:, 1:] - begin
        words[is_word] = numbers[at[is_word]]
        return words
