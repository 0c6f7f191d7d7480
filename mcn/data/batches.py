"""One training batch: clips of several videos, with what each of them has of each modality."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int32, Int64, Shaped
from torch import Tensor

from mcn.data.clip_form import DEFAULT_FORM, ClipForm
from mcn.data.spectrograms import stack_spectrograms
from mcn.modality import Modality

NO_WORD = -1
"""In the place of a word's number, where a clip has fewer words than others."""


class ClipRows(NamedTuple):
    """What clips side by side have of one modality; zeros where they lack it."""

    rows: Float[np.ndarray, "clips dim"]
    """Pooled over the rows of each clip."""
    has: Bool[np.ndarray, " clips"]


Spectrograms = list[np.ndarray | None]
"""Of clips side by side, each as (frames, 40); None for a clip that lacks it."""


@dataclass(frozen=True)
class Clips:
    """Clips of one video as the loader reads them."""

    video_id: str
    seconds: Float64[np.ndarray, "clips 2"]
    """Start and end in the video."""
    video: ClipRows
    audio: ClipRows | Spectrograms
    words: Int32[np.ndarray, "clips words"]
    """The numbers of each clip's words, and then NO_WORD."""
    other_words: Int32[np.ndarray, "clips others words"] | None = None
    """The same of captions near each clip, nearest first, if more than its own are wanted."""
    told_seconds: Float64[np.ndarray, "clips 2"] | None = None
    """From where to where its captions reach, if those are more than its own."""

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True)
class ClipBatch:
    """Clips side by side; where a modality is missing its rows are zero and `has` says so."""

    video_ids: list[str]
    video_numbers: Int64[Tensor, " clips"]
    """The same for clips of the same video, on whatever rank."""
    seconds: Float64[Tensor, "clips 2"]
    """Start and end in the video."""
    video: Shaped[Tensor, "clips ..."]
    """A row a clip; or the pictures of a clip as bytes, (frames, height, width, 3)."""
    audio: Float[Tensor, "clips ..."]
    """A row a clip; or spectrograms in float16 as (40, frames), padded to one length."""
    audio_frames: Int64[Tensor, " clips"] | None
    """Frames of each spectrogram before its padding; None where there are no spectrograms."""
    words: Int32[Tensor, "clips words"]
    """By their numbers in the table of the text store, whose vectors are on the device."""
    is_word: Bool[Tensor, "clips words"]
    has: dict[Modality, Bool[Tensor, " clips"]]
    kept_out: dict[Modality, dict[str, int]]
    """Videos with clips that count as lacking a modality since its features were not finite or
    their file could not be read, and how many clips; every modality is listed."""
    other_words: Int32[Tensor, "clips others words"] | None = None
    """Captions near each clip, nearest first, with NO_WORD where there is none."""
    told_seconds: Float64[Tensor, "clips 2"] | None = None
    """From where to where all captions of a clip reach; None where its own is the only one."""
    unread: dict[str, str] = field(default_factory=dict)
    """Videos of which a file could not be read, and why, in a sentence."""

    def __len__(self) -> int:
        return len(self.video_ids)

    def __getitem__(self, clips: slice) -> "ClipBatch":
        """Some of the clips, with what was kept out of all."""
        return replace(self._each(lambda rows: rows[clips]), video_ids=self.video_ids[clips])

    def pick(self, clips: Sequence[int]) -> "ClipBatch":
        """These clips in this order, with what was kept out of all."""
        places = torch.tensor(clips, dtype=torch.int64)
        return replace(
            self._each(lambda rows: rows[places]), video_ids=[self.video_ids[k] for k in clips]
        )

    @property
    def num_kept_out(self) -> int:
        """Clips kept out of a modality, over all modalities."""
        return sum(sum(videos.values()) for videos in self.kept_out.values())

    @property
    def num_bytes(self) -> int:
        """What its tensors take."""
        tensors = [value for value in vars(self).values() if isinstance(value, Tensor)]
        return sum(tensor.nbytes for tensor in (*tensors, *self.has.values()))

    def to(self, device: torch.device) -> "ClipBatch":
        """The same batch on another device."""
        return self._each(lambda rows: rows.to(device, non_blocking=True))

    def pin_memory(self) -> "ClipBatch":
        """The same batch where a GPU can fetch it while others work; asked for by the loader."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "ClipBatch":
        """With another tensor in the place of each."""
        changed: dict[str, Any] = {
            name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(
            self, **changed, has={modality: change(mask) for modality, mask in self.has.items()}
        )

    @property
    def candidates(self) -> tuple[Tensor, Tensor]:
        """Words of each clip's own caption and of those near it as (clips, candidates, words), by
        their numbers, and which of these are words.
        """
        if self.other_words is None:
            return self.words[:, None], self.is_word[:, None]
        words = torch.cat((self.words[:, None], self.other_words.clamp(min=0)), dim=1)
        is_word = torch.cat((self.is_word[:, None], self.other_words >= 0), dim=1)
        return words, is_word


def clips_that_lack_all(
    num_clips: int,
    dims: dict[Modality, int],
    *,
    max_words: int,
    form: ClipForm = DEFAULT_FORM,
    candidates: int = 1,
) -> Clips:
    """Clips that stand for none: batches of ranks without a video have these, and none of them."""
    has_rows = form.spectrogram_frames is None
    return Clips(
        "",
        np.tile([0.0, 1.0], (num_clips, 1)),
        lacking(num_clips, dims["video"]),
        lacking(num_clips, dims["audio"]) if has_rows else [None] * num_clips,
        np.full((num_clips, max_words), NO_WORD, np.int32),
        np.full((num_clips, candidates - 1, max_words), NO_WORD, np.int32)
        if candidates > 1
        else None,
        np.tile([0.0, 1.0], (num_clips, 1)) if candidates > 1 else None,
    )


def lacking(num_clips: int, dim: int) -> ClipRows:
    """The rows of clips of a video that has no such modality."""
    return ClipRows(np.zeros((num_clips, dim), np.float16), np.zeros(num_clips, bool))


def collate(videos: Sequence[Clips], form: ClipForm = DEFAULT_FORM) -> ClipBatch:
    """The clips of these videos, of which there is at least one, in the form they were read in.

    Features that are not finite are zeroed here, before any encoder sees them: masking its loss
    is not enough, since in the gradient of the weights zero times NaN is NaN.
    """
    video_ids = [clips.video_id for clips in videos for _ in range(len(clips))]
    words = torch.from_numpy(np.concatenate([clips.words for clips in videos]))
    is_word = words >= 0
    others = [clips.other_words for clips in videos if clips.other_words is not None]
    told = [clips.told_seconds for clips in videos if clips.told_seconds is not None]
    audio, has_audio, audio_frames = _side_by_side_audio([clips.audio for clips in videos], form)
    features: dict[Modality, Tensor] = {
        "video": _side_by_side([clips.video.rows for clips in videos]),
        "audio": audio,
    }
    has: dict[Modality, Tensor] = {
        "video": torch.from_numpy(np.concatenate([clips.video.has for clips in videos])),
        "audio": has_audio,
        "text": is_word.any(dim=1),
    }
    kept_out: dict[Modality, dict[str, int]] = {"video": {}, "audio": {}, "text": {}}
    for modality, rows in features.items():
        is_finite = _zero_not_finite(rows)
        has[modality] &= is_finite
        broken = (~is_finite).nonzero().flatten().tolist()
        kept_out[modality] = Counter(video_ids[row] for row in broken)
    return ClipBatch(
        video_ids=video_ids,
        video_numbers=numbers_of_videos(video_ids),
        seconds=torch.from_numpy(np.concatenate([clips.seconds for clips in videos])),
        video=features["video"],
        audio=features["audio"],
        audio_frames=None if audio_frames is None else audio_frames * has["audio"],
        words=words.clamp_(min=0),
        is_word=is_word,
        has=has,
        kept_out=kept_out,
        other_words=torch.from_numpy(np.concatenate(others)) if others else None,
        told_seconds=torch.from_numpy(np.concatenate(told)) if told else None,
    )


def _side_by_side_audio(
    parts: Sequence[ClipRows | Spectrograms], form: ClipForm
) -> tuple[Tensor, Bool[Tensor, " clips"], Int64[Tensor, " clips"] | None]:
    """Rows or padded spectrograms, which clips have any, and frames of spectrograms."""
    rows = [part for part in parts if isinstance(part, ClipRows)]
    if form.spectrogram_frames is None:
        has = np.concatenate([part.has for part in rows])
        return _side_by_side([part.rows for part in rows]), torch.from_numpy(has), None
    heard = [one for part in parts if not isinstance(part, ClipRows) for one in part]
    spectrograms, num_frames = stack_spectrograms(heard, form)
    return spectrograms, num_frames > 0, num_frames


def _side_by_side(parts: Sequence[np.ndarray]) -> Float[Tensor, "clips dim"]:
    """In single precision, widened on the way."""
    counts = [len(part) for part in parts]
    rows = torch.empty(sum(counts), parts[0].shape[1])
    for place, part in zip(rows.split(counts), parts, strict=True):
        place.copy_(torch.from_numpy(part))
    return rows


def numbers_of_videos(video_ids: list[str]) -> Int64[Tensor, " clips"]:
    """The same for clips of the same video, on whatever rank."""
    number = {
        video_id: int.from_bytes(blake2b(video_id.encode(), digest_size=8).digest(), signed=True)
        for video_id in set(video_ids)
    }
    return torch.tensor([number[video_id] for video_id in video_ids], dtype=torch.int64)


def _zero_not_finite(rows: Float[Tensor, "clips ..."]) -> Bool[Tensor, " clips"]:
    """Zeros the rows that are not finite in place; says which are."""
    if rows.sum(dtype=torch.float32).isfinite():  # as it almost always is, and then all are
        return torch.ones(len(rows), dtype=torch.bool)
    is_finite = rows.flatten(start_dim=1).isfinite().all(dim=1)
    rows[~is_finite] = 0
    return is_finite
