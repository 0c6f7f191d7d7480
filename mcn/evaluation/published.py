"""A published checkpoint in the place of a trained run: what it is given, and what it gives.

It takes what its publication takes: 2-D and 3-D features, each of unit length; log-mel spectrograms
padded to a fixed length with the loudest noise; words padded with zeros, which take part in the
maximum. Only models of all three modalities fit: MCN and AVLnet-Text-Tri.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.data.clip_form import ClipForm
from mcn.data.clip_reader import ClipReader
from mcn.modality import MODALITIES, Modality, Space
from mcn.models.audio_encoder import CLIPS_AT_A_TIME
from mcn.models.pretrained import load_published
from mcn.models.published import AvlNetTextTri, PublishedMcn
from mcn.models.trained import Model

PUBLISHED_WORDS = 20

PUBLISHED_FRAMES = {"youcook2": 5120, "msrvtt": 3072}
"""Of spectrograms, by the folder of the benchmark."""

NAMES: dict[type[nn.Module], str] = {PublishedMcn: "MCN", AvlNetTextTri: "AVLnet-Text-Tri"}


class PublishedSpace(nn.Module):
    """A published model of three modalities, asked as a trained one is."""

    vectors: Tensor

    def __init__(self, model: PublishedMcn | AvlNetTextTri, name: str) -> None:
        super().__init__()
        self.model = model.eval()
        self.name = name
        self.form = ClipForm(
            video="unit-length", spectrogram_frames=1000, audio_padding="published"
        )

    @property
    def spaces(self) -> Mapping[Space, tuple[Modality, ...]]:
        """One for all."""
        return {"joint": MODALITIES}

    def embed(
        self, batch: ClipBatch, modalities: tuple[Modality, ...], space: Space
    ) -> dict[Modality, Float[Tensor, "clips dim"]]:
        """Embeddings as published, not of unit length."""
        return {modality: self._embed(batch, modality) for modality in modalities}

    def know_words(self, vectors: Float[Tensor, "words text_dim"]) -> None:
        """Read the words of later batches as the rows of this table."""
        self.vectors = vectors

    def check(self, reader: ClipReader) -> None:
        """Make sure that the features are as wide as the model takes them.

        Raises:
            ValueError: They are not; says what to give.
        """
        taken, found = self.model.GU_video.fc.in_features, reader.dims["video"]
        if found != taken:
            raise ValueError(
                f"{self.name} takes {taken} video features of a clip, 2-D and 3-D side by side, "
                f"and {reader.stores['video'].folder} has {found} with what is read beside it: "
                "give --video and --video-3d"
            )
        taken, found = self.model.text_pooling_caption.fc.in_features, reader.dims["text"]
        if found != taken:
            raise ValueError(
                f"{self.name} takes words of {taken} numbers, and {reader.stores['text'].folder} "
                f"has {found}: give --text"
            )

    def _embed(self, batch: ClipBatch, modality: Modality) -> Tensor:
        if modality == "video":
            return self.model.embed_video(batch.video)
        if modality == "text":
            words = F.embedding(batch.words, self.vectors).float()
            return self.model.embed_text(words * batch.is_word[..., None])
        assert batch.audio_frames is not None
        mels = batch.audio.split(CLIPS_AT_A_TIME)
        frames = batch.audio_frames.split(CLIPS_AT_A_TIME)
        parts = zip(mels, frames, strict=True)
        return torch.cat([self.model.embed_audio(mel.float(), counts) for mel, counts in parts])


Evaluated = Model | PublishedSpace
"""What brings clips into spaces in which they are compared."""


def load_published_space(path: Path) -> PublishedSpace:
    """The model of a published checkpoint, ready to embed.

    Raises:
        ValueError: The file is none of a model of video, audio and text.
    """
    model = load_published(path)
    if not isinstance(model, PublishedMcn | AvlNetTextTri):
        raise ValueError(
            f"{path} holds a {type(model).__name__}, which has not all of video, audio and text; "
            f"{' and '.join(NAMES.values())} have"
        )
    return PublishedSpace(model, NAMES[type(model)])
