"""Which part of a clip's sound is heard: all of it, or what the published loader reads."""

import math
from dataclasses import replace
from typing import Literal

import numpy as np

from mcn.data.batches import Clip

AudioWindow = Literal["clip", "first-10s", "published"]

PUBLISHED_SECONDS = 10.0

PUBLISHED_LEAST_START_SECONDS = 200 / 16_000
"""Half a Fourier window: the published frame number of an earlier start is negative, counts from
the end of the file, and leaves nothing between start and end."""


def audio_end(start_seconds: float, end_seconds: float, window: AudioWindow) -> float:
    """Where the sound that is heard of a clip ends."""
    longest = math.inf if window == "clip" else PUBLISHED_SECONDS
    return min(end_seconds, start_seconds + longest)


def lose_sound_at_start(clip: Clip) -> Clip:
    """As published, a clip that begins with its file has sound, but the same as any other such.

    The published network hears the loudest noise there, 0 dB throughout, and so does one that is
    trained on spectrograms. Of stored features nobody can tell what it makes of that; a row of
    zeros stands for it.
    """
    if clip.audio is None or clip.start_seconds >= PUBLISHED_LEAST_START_SECONDS:
        return clip
    return replace(clip, audio=np.zeros_like(clip.audio))
