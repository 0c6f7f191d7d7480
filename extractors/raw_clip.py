"""One clip of an opened video: its pictures, scaled and cut, and the spectrogram of its sound."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import Float16, UInt8

from extractors.audio import SAMPLE_RATE, log_mel
from extractors.media import MediaError
from extractors.stretch import Stretch
from mcn.data.picture_form import PictureForm, View

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class RawClip:
    """What could be read of a clip."""

    pictures: UInt8[np.ndarray, "pictures height width 3"] | None
    spectrogram: Float16[np.ndarray, "frames 40"] | None
    problem: str = ""
    """Why any of it could not be read; that there is no sound at that time is no problem."""


def read_clip(
    container: InputContainer,
    start_seconds: float,
    end_seconds: float,
    form: PictureForm,
    view: View,
) -> RawClip:
    """What is seen and heard from one time to the other, the pictures in the middle of equal parts.

    What cannot be read there is missing; the file may be sound elsewhere.
    """
    start, end = (
        Fraction(round(t * MICROSECONDS), MICROSECONDS) for t in (start_seconds, end_seconds)
    )
    try:
        stretch = Stretch(container, start, end)
    except MediaError as error:
        return RawClip(None, None, error.message)
    pictures, spectrogram, problems = None, None, []
    try:
        part = (end - start) / form.clip_frames
        ticks = [start + part * k + part / 2 for k in range(form.clip_frames)]
        pictures = _cut(stretch.pictures(ticks), form, view)
    except MediaError as error:
        problems.append(error.message)
    try:
        samples = stretch.sound(SAMPLE_RATE)
        if len(samples):
            mel = log_mel(torch.from_numpy(samples), SAMPLE_RATE, silence="quiet")
            spectrogram = mel.T.to(torch.float16).numpy()
    except MediaError as error:
        problems.append(error.message)
    return RawClip(pictures, spectrogram, "; ".join(problems))


def _cut(
    frames: Sequence[VideoFrame], form: PictureForm, view: View
) -> UInt8[np.ndarray, "pictures height width 3"]:
    """One part of all, mirrored or not.

    Raises:
        MediaError: "undecodable" if damage has made of a picture what cannot be scaled.
    """
    scaler, crop = VideoReformatter(), form.picture_crop
    cut = np.empty((len(frames), crop, crop, 3), np.uint8)
    rows, columns = slice(view.top, view.top + crop), slice(view.left, view.left + crop)
    for k, frame in enumerate(frames):
        try:
            scaled = scaler.reformat(
                frame,
                form.picture_width,
                form.picture_height,
                "rgb24",
                interpolation="BILINEAR",
                threads=1,
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError("undecodable", f"a picture cannot be scaled: {error}") from error
        rgb = scaled.to_ndarray()
        cut[k] = rgb[rows, columns]
    return cut[:, :, ::-1] if view.is_mirrored else cut
