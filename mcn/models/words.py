"""Words of a batch by their vectors, which belong to the data and not to the model."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class WordReader(nn.Module):
    """The vectors are neither parameter nor buffer, so that no checkpoint holds them and no rank
    sends them to another.
    """

    vectors: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.vectors = None

    def read(self, words: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape text_dim"]:
        """The vectors of words by number."""
        if self.vectors is None:
            raise RuntimeError("the model knows no words: give it their vectors (know_words)")
        return F.embedding(words, self.vectors).float()
