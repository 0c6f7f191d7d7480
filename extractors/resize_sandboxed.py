"""Resizes a video in a child process: `resize_video`, for files that break the decoder."""

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float64

from extractors.media import open_media
from extractors.resize import ResizeConfig, ResizedVideo, resize_video
from extractors.sandbox import Sandbox

BYTES_PER_SECOND = 10_000
"""Of raw videos, at least, as a rule: half of what sound alone takes. A file can lie about its
length, but not about its size."""

LEAST_BYTES_PER_SECOND = 100
"""Of a still picture without sound: what a file says of its own length is believed so far."""

MOST_SECONDS = 12 * 3600.0
"""And no further than this, the longest that YouTube takes."""


def resize_in(
    sandbox: Sandbox,
    source: Path,
    target: Path,
    config: ResizeConfig,
    *,
    accepts_sound_alone: bool = False,
) -> ResizedVideo:
    """What `resize_video` does, in a sandbox of `resized_numbers`.

    Raises:
        MediaError: As by `resize_video` and by the sandbox.
    """
    try:
        num_bytes = source.stat().st_size
    except OSError:  # which the sandbox will say
        num_bytes = 0
    by_size = believed_seconds(num_bytes)
    with closing(
        sandbox.run(
            source,
            promised_seconds=by_size,
            target=str(target),
            accepts_sound_alone=accepts_sound_alone,
            **dataclasses.asdict(config),
        )
    ) as arrays:
        (own_word,) = next(arrays).tolist()
        sandbox.promise_more(believed_seconds(num_bytes, own_word) - by_size)
        ((seconds, num_frames, has_audio, completeness, num_errors),) = (a.tolist() for a in arrays)
    return ResizedVideo(
        seconds=seconds,
        num_frames=int(num_frames),
        has_audio=bool(has_audio),
        completeness=completeness,
        num_errors=int(num_errors),
    )


def believed_seconds(num_bytes: int, own_word: float = 0.0) -> float:
    """How long a file may be that has this size, and says that it is so many seconds long."""
    at_most = min(num_bytes / LEAST_BYTES_PER_SECOND, MOST_SECONDS)
    return max(num_bytes / BYTES_PER_SECOND, min(own_word, at_most))


def resized_numbers(
    source: Path, *, target: str, accepts_sound_alone: bool, **rule: Any
) -> Iterator[Float64[np.ndarray, " numbers"]]:
    """Resizes a video; how long it says it is, then the fields of what became of it, as numbers."""
    with open_media(source) as container:
        yield np.array([(container.duration or 0) / av.time_base], np.float64)
    resized = resize_video(
        source, Path(target), ResizeConfig(**rule), accepts_sound_alone=accepts_sound_alone
    )
    yield np.array(dataclasses.astuple(resized), np.float64)
