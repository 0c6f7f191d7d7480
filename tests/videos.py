"""Small videos for the tests, of any kind that turns up: written by FFmpeg, readable by eye.

The picture tells its time and which way is up: grey, with a red block in the upper left corner, a
blue bar along the lower edge that grows to full width in ten seconds, and a white block in the
middle during each clap. The sound is silent but for the claps: a tone in the third quarter of
each second.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

Encode = Callable[[Any], list[Any]]

TONE_HZ = 1000.0
SECONDS_TO_FULL_BAR = 10.0

CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mkv": ("libx264", "flac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "libmp3lame"),
}
FAST = {
    "libx264": {"preset": "ultrafast"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
}


def write_video(
    path: Path,
    *,
    seconds: float = 2.0,
    width: int = 320,
    height: int = 240,
    fps: float = 25,
    sample_rate: int | None = 48_000,
    layout: str = "stereo",
    rotation_degrees: int = 0,
    pixel_aspect: int = 1,
    faststart: bool = True,
    codecs: tuple[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    matrix: int = 2,
    frame_times: Sequence[float] | None = None,
    video_starts_at: float = 0.0,
    audio_starts_at: float = 0.0,
    tone_hz: float = TONE_HZ,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Writes a video of the kind that its suffix says; returns its path.

    Args:
        path: Ends in .mp4, .mkv, .webm or .avi.
        seconds: Length of picture and sound; a single frame where it is less than one.
        width: As stored.
        height: As stored.
        fps: Frames a second.
        sample_rate: Of the sound; None leaves it out.
        layout: Of the sound: mono, stereo, 5.1.
        rotation_degrees: What the file asks a player to turn, counter-clockwise.
        pixel_aspect: How many times wider than high a pixel is.
        faststart: Whether an mp4 has its index in front.
        codecs: Of picture and sound, in place of the container's usual ones.
        pix_fmt: As stored.
        matrix: Of the colours, by its number in H.273, for the file to say; 2 says nothing.
        frame_times: When frames come, in seconds, in place of a constant rate.
        video_starts_at: Seconds before which there are no pictures.
        audio_starts_at: Seconds before which there is no sound.
        tone_hz: What is heard in a clap.
        metadata: Of the container.
    """
    video_codec, audio_codec = codecs or CODECS[path.suffix]
    options = {"movflags": "+faststart"} if faststart and path.suffix == ".mp4" else {}
    times = frame_times or [k / fps for k in range(max(1, round(seconds * fps)))]
    rate = Fraction(fps).limit_denominator(1001)
    tick = 1 / rate if frame_times is None else Fraction(1, 1000)
    with av.open(f"file:{path.absolute()}", "w", container_options=options) as container:
        container.metadata.update(metadata or {})
        video = container.add_stream(video_codec, rate=rate, options=FAST.get(video_codec))
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        video.bit_rate = 500_000
        video.colorspace = matrix
        video.codec_context.time_base = tick
        video.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        video.codec_context.thread_count = 1
        if rotation_degrees:
            video.set_display_rotation(rotation_degrees)
        encoders: list[Encode] = [video.encode]
        tracks = [_pictures(times, width, height, tick, video_starts_at)]
        if sample_rate is not None:
            audio = container.add_stream(audio_codec, rate=sample_rate)
            assert isinstance(audio, AudioStream)
            audio.layout = layout
            encoders.append(audio.encode)
            tracks.append(_sounds(sample_rate, layout, audio_starts_at, seconds, tone_hz))
        entries = ([(time, k, frame) for time, frame in track] for k, track in enumerate(tracks))
        for _, k, frame in heapq.merge(*entries, key=lambda entry: entry[0]):
            container.mux(encoders[k](frame))
        for encode in encoders:
            container.mux(encode(None))
    return path


def is_clap(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether there is a clap at these times, in seconds."""
    return (times % 1.0 >= 0.5) & (times % 1.0 < 0.75)


def _pictures(
    times: Sequence[float], width: int, height: int, tick: Fraction, starts_at: float
) -> Iterator[tuple[float, VideoFrame | AudioFrame]]:
    for time in times:
        if time < starts_at:
            continue
        image = np.full((height, width, 3), 96, np.uint8)
        image[: height // 4, : width // 4] = 255, 0, 0
        image[-height // 8 :, : round(width * min(1.0, time / SECONDS_TO_FULL_BAR))] = 0, 0, 255
        if is_clap(np.array(time)):
            image[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8] = 255
        frame = VideoFrame.from_ndarray(image)
        frame.pts, frame.time_base = round(time / tick), tick
        yield time, frame


def _sounds(
    sample_rate: int, layout: str, starts_at: float, seconds: float, tone_hz: float
) -> Iterator[tuple[float, VideoFrame | AudioFrame]]:
    times = np.arange(round(starts_at * sample_rate), round(seconds * sample_rate)) / sample_rate
    wave = (0.5 * np.sin(2 * np.pi * tone_hz * times) * is_clap(times)).astype(np.float32)
    for start in range(0, len(wave), 1024):
        piece = wave[start : start + 1024]
        frame = AudioFrame(format="fltp", layout=layout, samples=len(piece))
        for plane in frame.planes:
            plane.update(piece.tobytes())
        frame.sample_rate = sample_rate
        frame.pts = round(times[start] * sample_rate)
        frame.time_base = Fraction(1, sample_rate)
        yield times[start], frame
