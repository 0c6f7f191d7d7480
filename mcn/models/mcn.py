"""MCN (Chen et al., 2021): one encoder a modality into a joint space, and a decoder back."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.modality import MODALITIES, Modality, Space
from mcn.models.audio_encoder import AudioNetwork, SpectrogramEncoder
from mcn.models.gated import GatedEmbeddingUnit, SentenceMaxPool
from mcn.models.standardize import Standardize
from mcn.models.words import WordReader


@dataclass(frozen=True, kw_only=True)
class McnDims:
    """Sizes of the features that come in and of the spaces that they go to."""

    video: int
    audio: int
    """Of the rows of a DAVEnet, whether they were stored or it is trained."""
    text: int
    embedding: int
    reconstruction: int


class Encoded(NamedTuple):
    """One modality of a batch in the joint space, and what its decoder makes of it."""

    embeddings: Float[Tensor, "clips dim"]
    """Of unit length, unless the model leaves them as projected."""
    reconstruction_error: Float[Tensor, " clips"]
    """Mean squared error over the dimensions of the features."""


class VideoEncoder(nn.Module):
    """Pooled frame features through a gated embedding unit."""

    def __init__(self, dims: McnDims) -> None:
        super().__init__()
        self.standardize = Standardize(dims.video)
        self.gated = GatedEmbeddingUnit(dims.video, dims.embedding)

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        features = self.standardize(batch.video)
        return self.gated(features), features


class AudioEncoder(nn.Module):
    """Pooled DAVEnet features, gated in their own dimension and then projected, as published."""

    def __init__(self, dims: McnDims) -> None:
        super().__init__()
        self.standardize = Standardize(dims.audio)
        self.gated = GatedEmbeddingUnit(dims.audio, dims.audio)
        self.projection = nn.Linear(dims.audio, dims.embedding)

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        features = self.standardize(batch.audio)
        return self.projection(self.gated(features)), features


class TextEncoder(WordReader):
    """Word vectors max-pooled to a sentence, then gated."""

    def __init__(self, dims: McnDims, form: ClipForm) -> None:
        super().__init__()
        self.form = form
        self.standardize = Standardize(dims.text)
        self.pool = SentenceMaxPool(dims.text, dims.embedding)
        self.gated = GatedEmbeddingUnit(dims.embedding, dims.embedding)

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        words = self.standardize(self.read(batch.words))
        if self.form.word_padding == "published":
            sentence = self.pool(words * batch.is_word[..., None])
        else:
            sentence = self.pool(words, batch.is_word)
        return self.gated(sentence), sentence


class Mcn(nn.Module):
    """Encoders and decoders of all modalities; a stage uses those it names."""

    def __init__(
        self,
        dims: McnDims,
        *,
        has_unit_length: bool = True,
        target_learns: bool = False,
        rebuilds_no_negatives: bool = False,
        form: ClipForm = DEFAULT_FORM,
        audio_network: AudioNetwork | None = None,
    ) -> None:
        """By default with what is right; the publication has all three the other way round.

        Args:
            dims: Sizes.
            has_unit_length: Whether embeddings are brought to unit length.
            target_learns: Whether the reconstruction error moves its target too, which then
                learns to be small.
            rebuilds_no_negatives: Whether decoders end in a ReLU, so that they never reach a
                target below zero.
            form: What it takes of clips.
            audio_network: The DAVEnet that it trains on spectrograms, if it takes those.
        """
        super().__init__()
        self.dims = dims
        self.has_unit_length = has_unit_length
        self.target_learns = target_learns
        self.form = form
        self.audio_network = audio_network
        audio: nn.Module
        if audio_network is None:
            audio = AudioEncoder(dims)
        else:
            audio = SpectrogramEncoder(audio_network, form, embedding_dim=dims.embedding)
        self.encoders = nn.ModuleDict(
            {"video": VideoEncoder(dims), "audio": audio, "text": TextEncoder(dims, form)}
        )
        # What is brought back is what the gated unit saw: features, or the pooled sentence.
        targets = {"video": dims.video, "audio": dims.audio, "text": dims.embedding}
        self.decoders = nn.ModuleDict(
            {
                modality: nn.Sequential(
                    nn.Linear(dims.embedding, dims.reconstruction),
                    nn.ReLU(),
                    nn.Linear(dims.reconstruction, targets[modality]),
                    *([nn.ReLU()] if rebuilds_no_negatives else []),
                )
                for modality in MODALITIES
            }
        )

    @property
    def described(self) -> dict[str, Any]:
        """What a checkpoint says of it, in plain values."""
        return {
            "model": "mcn",
            "dims": asdict(self.dims),
            "has_unit_length": self.has_unit_length,
            "form": asdict(self.form),
            "audio_network": self.audio_network,
        }

    @property
    def spaces(self) -> dict[Space, tuple[Modality, ...]]:
        """Which modalities come together in which space: all in one."""
        return {"joint": MODALITIES}

    def embed(
        self, batch: ClipBatch, modalities: tuple[Modality, ...], space: Space
    ) -> dict[Modality, Float[Tensor, "clips dim"]]:
        """Embeddings of all clips in the one space."""
        return {modality: one.embeddings for modality, one in self(batch, modalities).items()}

    def forward(
        self, batch: ClipBatch, modalities: tuple[Modality, ...]
    ) -> dict[Modality, Encoded]:
        """Embeddings of all clips, those that lack the modality included: mask them by `has`."""
        return {modality: self._encode(modality, batch) for modality in modalities}

    def know_words(self, vectors: Float[Tensor, "words text_dim"]) -> None:
        """Read the words of later batches as the rows of this table, on the model's device."""
        cast(TextEncoder, self.encoders["text"]).vectors = vectors

    def train_only(self, modalities: tuple[Modality, ...]) -> None:
        """Let these modalities learn; all others stay as they are, batch norms included."""
        for modality in MODALITIES:
            for part in (self.encoders[modality], self.decoders[modality]):
                part.requires_grad_(modality in modalities)
                part.train(modality in modalities)

    def standardizers(self) -> dict[Modality, Standardize]:
        """By modality; spectrograms have none, since batch norms see to their scale."""
        found = {m: getattr(self.encoders[m], "standardize", None) for m in MODALITIES}
        return {m: one for m, one in found.items() if isinstance(one, Standardize)}

    def _encode(self, modality: Modality, batch: ClipBatch) -> Encoded:
        projected, target = self.encoders[modality](batch)
        # In float32, since squares of half-precision numbers overflow early; a projection of zero
        # has no direction, and the bound keeps its gradient small.
        embeddings = projected.float()
        if self.has_unit_length:
            embeddings = F.normalize(embeddings, dim=1, eps=1e-6)
        rebuilt = self.decoders[modality](embeddings)
        if not self.target_learns:
            target = target.detach()
        error = (rebuilt.float() - target.float()).square().mean(dim=1)
        return Encoded(embeddings, error)
