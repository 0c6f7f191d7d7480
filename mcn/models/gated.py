"""The published building blocks: gated embedding unit and max-pooled words.

Parameter names are those of the published checkpoints (`fc`, `cg.fc`).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class ContextGating(nn.Module):
    """Weighs each dimension by a sigmoid gate computed from all of them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        gated: Tensor = F.glu(torch.cat((x, self.fc(x)), dim=1), dim=1)
        return gated


class GatedEmbeddingUnit(nn.Module):
    """Linear map followed by context gating (Miech et al., 2018); not normalised, as in MCN."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_dim, out_dim)
        self.cg = ContextGating(out_dim)

    def forward(self, x: Float[Tensor, "batch in_dim"]) -> Float[Tensor, "batch out_dim"]:
        embeddings: Tensor = self.cg(self.fc(x))
        return embeddings


class SentenceMaxPool(nn.Module):
    """Each word through a linear map and ReLU, then the maximum over the words."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_dim, out_dim)

    def forward(
        self,
        words: Float[Tensor, "batch words in_dim"],
        is_word: Bool[Tensor, "batch words"] | None = None,
    ) -> Float[Tensor, "batch out_dim"]:
        """Without `is_word` padding takes part, as published: a zero row still gives ReLU(bias).

        No word at all gives zeros.
        """
        if is_word is not None:
            # Padding may hold anything: a gradient of zero times NaN is NaN.
            words = words.masked_fill(~is_word[..., None], 0.0)
        activations = F.relu(self.fc(words))
        if is_word is not None:
            # After ReLU zero is the least value, so zero stands for "not there".
            activations = activations * is_word[..., None]
        return activations.amax(dim=1) if words.shape[1] else activations.sum(dim=1)
