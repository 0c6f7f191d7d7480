"""One training batch: clips of several videos, with what each of them has of each modality."""

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.data.spectrograms import stack_spectrograms
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
    """Pooled over the rows of the clip; or its log-mel spectrogram as (frames, 40)."""
    words: np.ndarray | None
    """One row for each word."""


@dataclass(frozen=True)
class ClipBatch:
    """Clips side by side; where a modality is missing its rows are zero and `has` says so."""

    video_ids: list[str]
    video_numbers: Int64[Tensor, " clips"]
    """The same for clips of the same video, on whatever rank."""
    seconds: Float64[Tensor, "clips 2"]
    """Start and end in the video."""
    video: Float[Tensor, "clips video_dim"]
    audio: Float[Tensor, "clips ..."]
    """A row a clip; or spectrograms in float16 as (40, frames), padded to one length."""
    audio_frames: Int64[Tensor, " clips"] | None
    """Frames of each spectrogram before its padding; None where there are no spectrograms."""
    words: Float[Tensor, "clips words word_dim"]
    """As precise as they are stored: most of a batch is words, and on the device they are widened
    faster than they travel."""
    is_word: Bool[Tensor, "clips words"]
    has: dict[Modality, Bool[Tensor, " clips"]]
    kept_out: dict[Modality, dict[str, int]]
    """Videos with clips that count as lacking a modality since its features were not finite, and
    how many clips; every modality is listed."""

    def __len__(self) -> int:
        return len(self.video_ids)

    @property
    def num_kept_out(self) -> int:
        """Clips kept out of a modality, over all modalities."""
        return sum(sum(videos.values()) for videos in self.kept_out.values())

    def to(self, device: torch.device) -> "ClipBatch":
        """The same batch on another device."""
        return ClipBatch(
            self.video_ids,
            self.video_numbers.to(device, non_blocking=True),
            self.seconds.to(device, non_blocking=True),
            self.video.to(device, non_blocking=True),
            self.audio.to(device, non_blocking=True),
            None if self.audio_frames is None else self.audio_frames.to(device, non_blocking=True),
            self.words.to(device, non_blocking=True).float(),
            self.is_word.to(device, non_blocking=True),
            {m: mask.to(device, non_blocking=True) for m, mask in self.has.items()},
            self.kept_out,
        )


def collate(
    clips: list[Clip],
    dims: dict[Modality, int],
    *,
    max_words: int,
    form: ClipForm = DEFAULT_FORM,
) -> ClipBatch:
    """The clips as one batch, in the form in which they were read, words cut off after `max_words`.

    Features that are not finite are zeroed here, before any encoder sees them: masking its loss
    is not enough, since in the gradient of the weights zero times NaN is NaN.
    """
    precision = np.result_type(np.float16, *{c.words.dtype for c in clips if c.words is not None})
    words = np.zeros((len(clips), max_words, dims["text"]), precision)
    is_word = np.zeros((len(clips), max_words), bool)
    for row, clip in enumerate(clips):
        if clip.words is not None:
            kept = clip.words[:max_words]
            words[row, : len(kept)] = kept
            is_word[row, : len(kept)] = True
    heard = [clip.audio for clip in clips]
    audio_frames = None
    if form.spectrogram_frames is None:
        audio = _stack(heard, dims["audio"])
    else:
        audio, audio_frames = stack_spectrograms(heard, form)
    features: dict[Modality, Tensor] = {
        "video": _stack([clip.video for clip in clips], dims["video"]),
        "audio": audio,
        "text": torch.from_numpy(words),
    }
    is_finite = {modality: _zero_not_finite(rows) for modality, rows in features.items()}
    has_words = torch.from_numpy(is_word) & is_finite["text"][:, None]
    has: dict[Modality, list[bool]] = {
        "video": [clip.video is not None for clip in clips],
        "audio": [clip.audio is not None for clip in clips],
    }
    return ClipBatch(
        video_ids=[clip.video_id for clip in clips],
        video_numbers=_numbers([clip.video_id for clip in clips]),
        seconds=torch.tensor(
            [(clip.start_seconds, clip.end_seconds) for clip in clips], dtype=torch.float64
        ).view(len(clips), 2),
        video=features["video"],
        audio=features["audio"],
        audio_frames=None if audio_frames is None else audio_frames * is_finite["audio"],
        words=features["text"],
        is_word=has_words,
        has={
            **{m: torch.tensor(there, dtype=torch.bool) & is_finite[m] for m, there in has.items()},
            "text": has_words.any(dim=1),
        },
        kept_out={
            modality: Counter(clips[row].video_id for row in (~finite).nonzero().flatten().tolist())
            for modality, finite in is_finite.items()
        },
    )


def _numbers(video_ids: list[str]) -> Int64[Tensor, " clips"]:
    number = {
        video_id: int.from_bytes(blake2b(video_id.encode(), digest_size=8).digest(), signed=True)
        for video_id in set(video_ids)
    }
    return torch.tensor([number[video_id] for video_id in video_ids], dtype=torch.int64)


def _zero_not_finite(rows: Float[Tensor, "clips ..."]) -> Bool[Tensor, " clips"]:
    """Zeros the rows that are not finite in place; says which are.

    The extremes of a row tell, and of half precision numbers they cost a tenth of their sum.
    """
    flat = rows.flatten(start_dim=1)
    is_finite = flat.amax(dim=1).isfinite() & flat.amin(dim=1).isfinite()
    if not is_finite.all():
        rows[~is_finite] = 0
    return is_finite


def _stack(rows: list[np.ndarray | None], dim: int) -> Tensor:
    stacked = np.zeros((len(rows), dim), np.float32)
    for index, row in enumerate(rows):
        if row is not None:
            stacked[index] = row
    return torch.from_numpy(stacked)
