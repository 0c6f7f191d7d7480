"""MMV (Alayrac et al., 2020) on stored features: heads into spaces of different granularity.

    fac        fine     video, audio          what is seen against what is heard
               coarse   video, audio, text    reached from the fine space by a head that both share
    disjoint   video-audio, video-text        which know nothing of each other
    shared     joint    video, audio, text

Video and audio are compared in the fine space and text with video in the coarse one. Audio goes to
the coarse space in evaluation only, so that the shared head's batch norm has seen nothing but
video.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.modality import MODALITIES, MmvSpace, Modality, Place, Space
from mcn.models.batch_norm import BatchNorm, normalise_rows
from mcn.models.gated import SentenceMaxPool
from mcn.models.standardize import Standardize
from mcn.models.words import WordReader

PATHS: dict[MmvSpace, dict[Place, tuple[str, ...]]] = {
    "fac": {
        ("video", "fine"): ("video",),
        ("audio", "fine"): ("audio",),
        ("video", "coarse"): ("video", "coarse"),
        ("audio", "coarse"): ("audio", "coarse"),
        ("text", "coarse"): ("text",),
    },
    "disjoint": {
        ("video", "video-audio"): ("video",),
        ("audio", "video-audio"): ("audio",),
        ("video", "video-text"): ("video-to-text",),
        ("text", "video-text"): ("text",),
    },
    "shared": {
        ("video", "joint"): ("video",),
        ("audio", "joint"): ("audio",),
        ("text", "joint"): ("text",),
    },
}
"""The heads that lead a modality into a space, one after the other."""


@dataclass(frozen=True, kw_only=True)
class MmvDims:
    """Sizes of the features that come in, and of the spaces as published."""

    video: int
    audio: int
    text: int
    fine: int = 512
    """Of every space without text, and of a shared one."""
    coarse: int = 256
    """Of a space of text and others that has one of its own."""
    sentence: int = 2048
    """Of the pooled words."""


class VideoHead(nn.Module):
    """Two layers, each with a batch norm."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_dim, hidden_dim)
        self.hidden_norm = BatchNorm(hidden_dim)
        self.out = nn.Linear(hidden_dim, out_dim, bias=False)
        self.out_norm = BatchNorm(out_dim)

    def forward(self, rows: Tensor, is_there: Tensor) -> Tensor:
        hidden = F.relu(normalise_rows(self.hidden_norm, self.hidden(rows), is_there))
        return normalise_rows(self.out_norm, self.out(hidden), is_there)


class AudioHead(nn.Module):
    """One layer, as published."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(in_dim, out_dim)

    def forward(self, rows: Tensor, is_there: Tensor) -> Tensor:
        embeddings: Tensor = self.out(rows)
        return embeddings


class CoarseHead(nn.Module):
    """From the fine space on, for whatever is there."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(in_dim, out_dim, bias=False)
        self.out_norm = BatchNorm(out_dim)

    def forward(self, rows: Tensor, is_there: Tensor) -> Tensor:
        return normalise_rows(self.out_norm, self.out(F.relu(rows)), is_there)


class TextHead(nn.Module):
    """Words max-pooled to a sentence, of each candidate by itself."""

    def __init__(self, in_dim: int, sentence_dim: int, out_dim: int) -> None:
        super().__init__()
        self.pool = SentenceMaxPool(in_dim, sentence_dim)
        self.out = nn.Linear(sentence_dim, out_dim)

    def forward(
        self,
        words: Float[Tensor, "clips candidates words in_dim"],
        is_word: Bool[Tensor, "clips candidates words"],
    ) -> Float[Tensor, "clips candidates out_dim"]:
        sentences = self.pool(words.flatten(0, 1), is_word.flatten(0, 1))
        # Not by -1, which a rank without clips leaves open.
        embeddings: Tensor = self.out(sentences).view(*words.shape[:2], self.out.out_features)
        return embeddings


class Mmv(WordReader):
    """Heads into the spaces of one arrangement; a stage uses those on its terms' paths."""

    def __init__(
        self,
        dims: MmvDims,
        *,
        space: MmvSpace,
        has_unit_length: bool = True,
        form: ClipForm = DEFAULT_FORM,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.space = space
        self.has_unit_length = has_unit_length
        self.form = form
        self.paths = PATHS[space]
        self.standardize = nn.ModuleDict(
            {m: Standardize(cast(int, getattr(dims, m))) for m in MODALITIES}
        )
        with_text = dims.fine if space == "shared" else dims.coarse
        heads: dict[str, nn.Module] = {
            "video": VideoHead(dims.video, dims.fine, dims.fine),
            "audio": AudioHead(dims.audio, dims.fine),
            "text": TextHead(dims.text, dims.sentence, with_text),
        }
        if space == "fac":
            heads["coarse"] = CoarseHead(dims.fine, with_text)
        if space == "disjoint":
            heads["video-to-text"] = VideoHead(dims.video, dims.fine, with_text)
        self.heads = nn.ModuleDict(heads)

    @property
    def described(self) -> dict[str, Any]:
        """What a checkpoint says of it, in plain values."""
        return {
            "model": "mmv",
            "dims": asdict(self.dims),
            "space": self.space,
            "has_unit_length": self.has_unit_length,
            "form": asdict(self.form),
        }

    @property
    def spaces(self) -> dict[Space, tuple[Modality, ...]]:
        """Which modalities come together in which space; first that of text."""
        all_spaces = dict.fromkeys(space for _, space in self.paths)
        spaces = sorted(all_spaces, key=lambda space: ("text", space) not in self.paths)
        return {s: tuple(m for m in MODALITIES if (m, s) in self.paths) for s in spaces}

    def forward(self, batch: ClipBatch, places: tuple[Place, ...]) -> dict[Place, Tensor]:
        """Embeddings of all clips, those that lack the modality included; of text those of all
        candidates, as (clips, candidates, dim).
        """
        known: dict[tuple[str, ...], Tensor] = {}
        return {place: self._at_length(self._embed(place, batch, known)) for place in places}

    def embed(
        self, batch: ClipBatch, modalities: Iterable[Modality], space: Space
    ) -> dict[Modality, Float[Tensor, "clips dim"]]:
        """Embeddings in one space; of text those of each clip's own caption."""
        found = self(batch, tuple((modality, space) for modality in modalities))
        return {m: rows[:, 0] if m == "text" else rows for (m, _), rows in found.items()}

    def know_words(self, vectors: Float[Tensor, "words text_dim"]) -> None:
        """Read the words of later batches as the rows of this table, on the model's device."""
        self.vectors = vectors

    def heads_of(self, places: Iterable[Place]) -> set[str]:
        """All heads on the ways there."""
        return {head for place in places for head in self.paths[place]}

    def train_only(self, heads: Collection[str]) -> None:
        """Let these heads learn; all others stay as they are, batch norms included."""
        for name, head in self.heads.items():
            head.requires_grad_(name in heads)
            head.train(name in heads)

    def standardizers(self) -> dict[Modality, Standardize]:
        """By modality."""
        return {m: cast(Standardize, self.standardize[m]) for m in MODALITIES}

    def _embed(
        self, place: Place, batch: ClipBatch, known: dict[tuple[str, ...], Tensor]
    ) -> Tensor:
        """Through one head after the other; what two ways have in common is computed once."""
        modality = place[0]
        rows, is_there = self._input(modality, batch)
        way: tuple[str, ...] = (modality,)
        for head in self.paths[place]:
            way = (*way, head)
            if way not in known:
                known[way] = self.heads[head](rows, is_there)
            rows = known[way]
        return rows

    def _input(self, modality: Modality, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Features, and which of them are there."""
        if modality == "text":
            words, is_word = batch.candidates
            return self.standardize["text"](self.read(words)), is_word
        features = batch.video if modality == "video" else batch.audio
        return self.standardize[modality](features), batch.has[modality]

    def _at_length(self, embeddings: Tensor) -> Tensor:
        # In float32, since squares of half-precision numbers overflow early.
        rows = embeddings.float()
        return F.normalize(rows, dim=-1, eps=1e-6) if self.has_unit_length else rows
