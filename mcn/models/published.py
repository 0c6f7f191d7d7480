"""The models as they were published, for their checkpoints: MCN, AVLnet and HowTo100M.

Parameters have the published names, `forward` takes and returns what the published one does, in
its order, and defects that belong to the model stay: targets of the reconstruction are not
detached, and padding words take part in the maximum. Embeddings are not normalised, but for
HowTo100M's. What this project trains is `mcn.models.mcn`.

    HowTo100M          video, text          Miech et al., 2019
    AVLnet             audio, video         Rouditchenko et al., 2021
    AVLnet-Text-Tri    audio, video, text   the same; MCN trained without decoders is this too
    MCN                audio, video, text   Chen et al., 2021; with a decoder a modality

Video features are the 2-D and 3-D features of a clip side by side, each half of unit length.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mcn.models.davenet import ROW_DIM, ResDavenet, mean_of_rows
from mcn.models.gated import GatedEmbeddingUnit, SentenceMaxPool


class HowTo100M(nn.Module):
    """Video and text, each through a gated unit to unit length."""

    def __init__(
        self, *, video_dim: int, word_dim: int, sentence_dim: int, embedding_dim: int
    ) -> None:
        super().__init__()
        self.text_pooling = SentenceMaxPool(word_dim, sentence_dim)
        self.GU_text = NormalizedGatedUnit(sentence_dim, embedding_dim)
        self.GU_video = NormalizedGatedUnit(video_dim, embedding_dim)

    def embed_video(self, video: Float[Tensor, "clips video_dim"]) -> Float[Tensor, "clips dim"]:
        embeddings: Tensor = self.GU_video(video)
        return embeddings

    def embed_text(
        self, words: Float[Tensor, "sentences words word_dim"]
    ) -> Float[Tensor, "sentences dim"]:
        embeddings: Tensor = self.GU_text(self.text_pooling(words))
        return embeddings

    def forward(
        self,
        video: Float[Tensor, "clips video_dim"],
        words: Float[Tensor, "sentences words word_dim"],
    ) -> Float[Tensor, "sentences clips"]:
        """Cosine of every sentence with every clip."""
        return self.embed_text(words) @ self.embed_video(video).T


class NormalizedGatedUnit(GatedEmbeddingUnit):
    """HowTo100M's gated unit, with embeddings of unit length."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(in_dim, out_dim)
        # The published checkpoints have it; it takes no part.
        self.cg.add_module("batch_norm", nn.BatchNorm1d(out_dim))

    def forward(self, x: Float[Tensor, "batch in_dim"]) -> Float[Tensor, "batch out_dim"]:
        return F.normalize(super().forward(x), dim=1)


class _AudioVideoSpace(nn.Module):
    """The part that AVLnet and MCN share: video, and sound by a ResDAVEnet."""

    def __init__(self, *, video_dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.DAVEnet = ResDavenet()
        self.DAVEnet_projection = nn.Linear(ROW_DIM, embedding_dim)
        self.GU_audio = GatedEmbeddingUnit(ROW_DIM, ROW_DIM)
        self.GU_video = GatedEmbeddingUnit(video_dim, embedding_dim)

    def embed_video(self, video: Float[Tensor, "clips video_dim"]) -> Float[Tensor, "clips dim"]:
        embeddings: Tensor = self.GU_video(video)
        return embeddings

    def embed_audio(
        self, log_mel: Float[Tensor, "clips 40 frames"], num_frames: Int[Tensor, " clips"]
    ) -> Float[Tensor, "clips dim"]:
        """Embeddings of sound, of which each clip has `num_frames` frames before its padding."""
        return self.project_audio(self.pool_audio(log_mel, num_frames))

    def pool_audio(
        self, log_mel: Float[Tensor, "clips 40 frames"], num_frames: Int[Tensor, " clips"]
    ) -> Float[Tensor, "clips 1024"]:
        """Mean of DAVEnet's rows: of all in training, of those before the padding otherwise."""
        rows: Tensor = self.DAVEnet(log_mel)
        if self.training:
            return rows.mean(dim=2)
        frames_per_row = round(log_mel.shape[2] / rows.shape[2])
        num_rows = (num_frames // frames_per_row).clamp(1, rows.shape[2])
        return mean_of_rows(rows, num_rows)

    def project_audio(self, pooled: Float[Tensor, "clips 1024"]) -> Float[Tensor, "clips dim"]:
        embeddings: Tensor = self.DAVEnet_projection(self.GU_audio(pooled))
        return embeddings


class AvlNet(_AudioVideoSpace):
    """Sound and video in one space."""

    def forward(
        self,
        video: Float[Tensor, "clips video_dim"],
        log_mel: Float[Tensor, "clips 40 frames"],
        num_frames: Int[Tensor, " clips"],
    ) -> tuple[Float[Tensor, "clips dim"], Float[Tensor, "clips dim"]]:
        """Embeddings of audio and video."""
        return self.embed_audio(log_mel, num_frames), self.embed_video(video)


class _AudioVideoTextSpace(_AudioVideoSpace):
    def __init__(self, *, video_dim: int, word_dim: int, embedding_dim: int) -> None:
        super().__init__(video_dim=video_dim, embedding_dim=embedding_dim)
        self.text_pooling_caption = SentenceMaxPool(word_dim, embedding_dim)
        self.GU_text_captions = GatedEmbeddingUnit(embedding_dim, embedding_dim)

    def embed_text(
        self, words: Float[Tensor, "clips words word_dim"]
    ) -> Float[Tensor, "clips dim"]:
        embeddings: Tensor = self.GU_text_captions(self.text_pooling_caption(words))
        return embeddings


class AvlNetTextTri(_AudioVideoTextSpace):
    """Sound, video and text in one space."""

    def forward(
        self,
        video: Float[Tensor, "clips video_dim"],
        log_mel: Float[Tensor, "clips 40 frames"],
        num_frames: Int[Tensor, " clips"],
        words: Float[Tensor, "clips words word_dim"],
    ) -> tuple[Float[Tensor, "clips dim"], Float[Tensor, "clips dim"], Float[Tensor, "clips dim"]]:
        """Embeddings of audio, video and text."""
        audio = self.embed_audio(log_mel, num_frames)
        return audio, self.embed_video(video), self.embed_text(words)


class PublishedMcn(_AudioVideoTextSpace):
    """Sound, video and text in one space, and a decoder back from each."""

    def __init__(
        self, *, video_dim: int, word_dim: int, embedding_dim: int, reconstruction_dim: int
    ) -> None:
        super().__init__(video_dim=video_dim, word_dim=word_dim, embedding_dim=embedding_dim)
        self.recon_v = _decoder(embedding_dim, reconstruction_dim, video_dim)
        self.recon_a = _decoder(embedding_dim, reconstruction_dim, ROW_DIM)
        self.recon_t = _decoder(embedding_dim, reconstruction_dim, embedding_dim)

    def forward(
        self,
        video: Float[Tensor, "clips video_dim"],
        log_mel: Float[Tensor, "clips 40 frames"],
        num_frames: Int[Tensor, " clips"],
        words: Float[Tensor, "clips words word_dim"],
    ) -> tuple[
        Float[Tensor, "clips dim"],
        Float[Tensor, "clips dim"],
        Float[Tensor, "clips dim"],
        Float[Tensor, " clips"],
    ]:
        """Embeddings of audio, video and text, and the reconstruction error of each clip.

        The error is the sum over the modalities of the mean squared error over the dimensions of
        what the gated unit saw.
        """
        pooled_audio = self.pool_audio(log_mel, num_frames)
        audio = self.project_audio(pooled_audio)
        video_embeddings = self.embed_video(video)
        pooled_text = self.text_pooling_caption(words)
        text = self.GU_text_captions(pooled_text)
        error = (
            _error(self.recon_v(video_embeddings), video)
            + _error(self.recon_a(audio), pooled_audio)
            + _error(self.recon_t(text), pooled_text)
        )
        return audio, video_embeddings, text, error


def _decoder(embedding_dim: int, hidden_dim: int, out_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(embedding_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, out_dim), nn.ReLU()
    )


def _error(rebuilt: Tensor, target: Tensor) -> Tensor:
    return (rebuilt - target).square().mean(dim=1)
