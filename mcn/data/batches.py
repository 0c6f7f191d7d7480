"""One training batch: clips of several videos, with what each of them has of each modality."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcn.modality import Modality


@dataclass(frozen=True)
class Clip:
    """One clip as the loader reads it; a modality that it lacks is None."""

    video_id: str
    start_seconds: float
    end_seconds: float
    video: np.ndarray | None
    """Pooled over the rows of the clip."""
    audio: np.ndarray | None
    """Pooled over the rows of the clip."""
    words: np.ndarray | None
    """One row for each word."""


@dataclass(frozen=True)
class ClipBatch:
    """Clips side by side; where a modality is missing its rows are zero and `has` says so."""

    video_ids: list[str]
    video: Float[Tensor, "clips video_dim"]
    audio: Float[Tensor, "clips audio_dim"]
    words: Float[Tensor, "clips words word_dim"]
    is_word: Bool[Tensor, "clips words"]
    has: dict[Modality, Bool[Tensor, " clips"]]

    def __len__(self) -> int:
        return len(self.video_ids)

    def to(self, device: torch.device) -> "ClipBatch":
        """The same batch on another device."""
        return ClipBatch(
            self.video_ids,
            self.video.to(device, non_blocking=True),
            self.audio.to(device, non_blocking=True),
            self.words.to(device, non_blocking=True),
            self.is_word.to(device, non_blocking=True),
            {m: mask.to(device, non_blocking=True) for m, mask in self.has.items()},
        )


def collate(clips: list[Clip], dims: dict[Modality, int], *, max_words: int) -> ClipBatch:
    """The clips as one batch, words cut off after `max_words`."""
    words = np.zeros((len(clips), max_words, dims["text"]), np.float32)
    is_word = np.zeros((len(clips), max_words), bool)
    for row, clip in enumerate(clips):
        if clip.words is not None:
            kept = clip.words[:max_words]
            words[row, : len(kept)] = kept
            is_word[row, : len(kept)] = True
    return ClipBatch(
        video_ids=[clip.video_id for clip in clips],
        video=_stack([clip.video for clip in clips], dims["video"]),
        audio=_stack([clip.audio for clip in clips], dims["audio"]),
        words=torch.from_numpy(words),
        is_word=torch.from_numpy(is_word),
        has={
            "video": torch.tensor([clip.video is not None for clip in clips], dtype=torch.bool),
            "audio": torch.tensor([clip.audio is not None for clip in clips], dtype=torch.bool),
            "text": torch.from_numpy(is_word.any(axis=1)),
        },
    )


def _stack(rows: list[np.ndarray | None], dim: int) -> Tensor:
    stacked = np.zeros((len(rows), dim), np.float32)
    for index, row in enumerate(rows):
        if row is not None:
            stacked[index] = row
    return torch.from_numpy(stacked)
