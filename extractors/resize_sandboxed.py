"""Resizes a video in a child process: `resize_video`, for files that break the decoder."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from extractors.resize import ResizeConfig, ResizedVideo, resize_video
from extractors.sandbox import Sandbox

LEAST_BYTES_PER_SECOND = 10_000
"""Of raw videos, about: half of what sound alone takes. A file can lie about its length, but not
about its size."""


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
        most_seconds = source.stat().st_size / LEAST_BYTES_PER_SECOND
    except FileNotFoundError:  # which the sandbox will say
        most_seconds = 0.0
    rule = dataclasses.asdict(config)
    (numbers,) = sandbox.run(
        source,
        promised_seconds=most_seconds,
        target=str(target),
        accepts_sound_alone=accepts_sound_alone,
        **rule,
    )
    seconds, num_frames, has_audio, completeness, num_errors = numbers.tolist()
    return ResizedVideo(
        seconds=seconds,
        num_frames=int(num_frames),
        has_audio=bool(has_audio),
        completeness=completeness,
        num_errors=int(num_errors),
    )


def resized_numbers(
    source: Path, *, target: str, accepts_sound_alone: bool, **rule: Any
) -> Iterator[Float64[np.ndarray, "5"]]:
    """Resizes a video; the fields of what became of it, as numbers."""
    resized = resize_video(
        source, Path(target), ResizeConfig(**rule), accepts_sound_alone=accepts_sound_alone
    )
    yield np.array(dataclasses.astuple(resized), np.float64)
