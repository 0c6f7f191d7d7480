"""Which part of a clip's sound is heard: all of it, or what the published loader reads."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from mcn.choices import AudioWindow
from mcn.data.batches import ClipRows, Clips

PUBLISHED_SECONDS = 10.0

PUBLISHED_LEAST_START_SECONDS = 200 / 16_000
"""Half a Fourier window: the published frame number of an earlier start is negative, counts from
the end of the file, and leaves nothing between start and end."""


def audio_end(
    start_seconds: Float[np.ndarray, " clips"],
    end_seconds: Float[np.ndarray, " clips"],
    window: AudioWindow,
) -> Float[np.ndarray, " clips"]:
    """Where the sound that is heard of each clip ends."""
    longest = math.inf if window == "clip" else PUBLISHED_SECONDS
    end: np.ndarray = np.minimum(end_seconds, start_seconds + longest)
    return end


def lose_sound_at_start(clips: Clips) -> Clips:
    """As published, a clip that begins with its file has sound, but the same as any other such.

    The published network hears the loudest noise there, 0 dB throughout, and so does one that is
    trained on spectrograms. Of stored features nobody can tell what it makes of that; a row of
    zeros stands for it.
    """
    is_heard = clips.seconds[:, 0] >= PUBLISHED_LEAST_START_SECONDS
    if isinstance(clips.audio, ClipRows):
        rows = np.where(is_heard[:, None], clips.audio.rows, 0)
        return replace(clips, audio=ClipRows(rows, clips.audio.has))
    spectrograms = [
        frames if heard or frames is None else np.zeros_like(frames)
        for frames, heard in zip(clips.audio, is_heard.tolist(), strict=True)
    ]
    return replace(clips, audio=spectrograms)
