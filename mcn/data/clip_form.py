"""In which form a model takes what clips show and let hear; a checkpoint says it of its model."""

from dataclasses import dataclass
from typing import Literal

AudioPadding = Literal["silence", "published"]

VideoScale = Literal["as-stored", "unit-length"]

WordPadding = Literal["left-out", "published"]

BANDS = 40
"""Of log-mel spectrograms."""
FRAMES_PER_SECOND = 100.0
"""Of log-mel spectrograms."""
LOUDEST_DB = 0.0
SILENCE_DB = -80.0


@dataclass(frozen=True, kw_only=True)
class ClipForm:
    """By default rows of video and audio are pooled, and come as they are stored."""

    video: VideoScale = "as-stored"
    """Whether pooled video features of each kind, 2-D and 3-D, are brought to unit length."""
    spectrogram_frames: int | None = None
    """The most frames of a clip's log-mel spectrogram; None where audio rows are averaged."""
    audio_padding: AudioPadding = "silence"
    """Of spectrograms: up to the longest of a batch with silence, which its reader leaves out; or
    up to the most frames with 0 dB, as published, which is as loud as sound can be."""
    word_padding: WordPadding = "left-out"
    """Of MCN's sentences: left out of the maximum over words, or taking part in it as a word of
    zeros, as published, so that no dimension of a short sentence is below that of no word."""


DEFAULT_FORM = ClipForm()
