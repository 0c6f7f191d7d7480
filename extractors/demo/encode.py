"""Writes a story as a raw file, in one of the many ways in which such files come."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from extractors.demo.film import Film
from extractors.demo.sound import Samples
from extractors.publish import publish

TICKS_PER_SECOND = 1000
SOUND_FRAME_SAMPLES = 960
FAST = {
    # With AVX-512, x264 does not give the same bytes every time.
    "libx264": {"preset": "ultrafast", "crf": "26", "x264-params": "asm=sse4.2"},
    # A speed above 0 follows the clock, and so the bytes the load; below 0 it is fixed.
    "mpeg4": {"b": "1M"},
    "libvpx": {"deadline": "realtime", "cpu-used": "-8", "b": "600k"},
}

CONTAINERS = {".avi": "avi", ".mkv": "matroska", ".mp4": "mp4", ".webm": "webm"}
CODECS = {".avi": ("mpeg4", "mp2"), ".webm": ("libvpx", "libopus")}


@dataclass(frozen=True, kw_only=True)
class RawFormat:
    """How a raw file is stored."""

    suffix: str
    width: int
    height: int
    fps: int
    sample_rate: int | None
    """None leaves the sound out."""
    faststart: bool = False
    is_variable_rate: bool = False
    rotation_degrees: int = 0
    """The picture is stored turned by so much, and the file says so."""

    @property
    def codecs(self) -> tuple[str, str]:
        return CODECS.get(self.suffix, ("libx264", "aac"))


FORMATS = (
    RawFormat(suffix=".mp4", width=640, height=360, fps=25, sample_rate=44_100, faststart=True),
    RawFormat(suffix=".mp4", width=320, height=240, fps=15, sample_rate=22_050),
    RawFormat(suffix=".webm", width=426, height=240, fps=30, sample_rate=48_000),
    RawFormat(suffix=".mkv", width=480, height=360, fps=24, sample_rate=48_000),
    RawFormat(suffix=".mp4", width=360, height=480, fps=30, sample_rate=44_100, faststart=True),
    RawFormat(suffix=".mkv", width=638, height=358, fps=25, sample_rate=44_100),
)

VARIABLE_RATE = RawFormat(
    suffix=".mp4", width=480, height=360, fps=25, sample_rate=44_100, is_variable_rate=True
)
ROTATED = RawFormat(
    suffix=".mp4", width=640, height=360, fps=25, sample_rate=44_100, rotation_degrees=90
)
OLD = RawFormat(suffix=".avi", width=320, height=240, fps=25, sample_rate=44_100)
SILENT = RawFormat(suffix=".mp4", width=426, height=240, fps=24, sample_rate=None)


def write_raw(path: Path, film: Film, sound: Samples | None, form: RawFormat) -> None:
    """The film with its sound at `path`; equal bytes for equal input."""
    aside = path.with_name(f".{path.name}.part")
    video_codec, audio_codec = form.codecs
    options = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if form.faststart else {})
    with av.open(
        f"file:{aside.absolute()}", "w", format=CONTAINERS[form.suffix], container_options=options
    ) as container:
        rate = TICKS_PER_SECOND if form.is_variable_rate else form.fps
        video = container.add_stream(video_codec, rate=rate, options=FAST[video_codec])
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = form.width, form.height, "yuv420p"
        if form.rotation_degrees:
            video.width, video.height = form.height, form.width
            video.set_display_rotation(form.rotation_degrees)
        _make_exact(video)
        packets = [_encoded(video, _pictures(film, form))]
        if sound is not None and form.sample_rate is not None:
            audio = container.add_stream(audio_codec, rate=form.sample_rate)
            assert isinstance(audio, AudioStream)
            audio.layout = "mono"
            _make_exact(audio)
            packets.append(_encoded(audio, _sounds(sound, form.sample_rate)))
        for _, encoded in heapq.merge(*packets, key=lambda entry: entry[0]):
            container.mux(encoded)
    publish(aside, path)


def _encoded(
    stream: VideoStream | AudioStream, frames: Iterator[tuple[float, Any]]
) -> "Iterator[tuple[float, list[Packet[Any]]]]":
    """The packets of a stream, with the time of the frame that completed them."""
    seconds = 0.0
    for seconds, frame in frames:
        yield seconds, stream.encode(frame)
    yield seconds, stream.encode(None)


def _make_exact(stream: VideoStream | AudioStream) -> None:
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= Flags.bitexact


def _times(film: Film, form: RawFormat) -> list[float]:
    """When frames come: evenly, or now fast and now slow."""
    end = film.story.duration_seconds
    if not form.is_variable_rate:
        return [index / form.fps for index in range(round(end * form.fps))]
    times, seconds = [], 0.0
    while seconds < end:
        times.append(round(seconds, 3))
        seconds += 1 / form.fps if int(seconds) % 2 else 2.5 / form.fps
    return times


def _pictures(film: Film, form: RawFormat) -> Iterator[tuple[float, VideoFrame]]:
    times = _times(film, form)
    tick = Fraction(1, TICKS_PER_SECOND if form.is_variable_rate else form.fps)
    for seconds, picture in zip(times, film.frames(times), strict=True):
        if form.rotation_degrees:
            # Stored lying on its side; a player sets it upright again.
            picture = np.ascontiguousarray(np.rot90(picture, -form.rotation_degrees // 90))
        frame = VideoFrame.from_numpy_buffer(picture, format="rgba").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(seconds / tick), tick
        yield seconds, frame


def _sounds(sound: Samples, sample_rate: int) -> Iterator[tuple[float, AudioFrame]]:
    for start in range(0, len(sound), SOUND_FRAME_SAMPLES):
        piece = sound[start : start + SOUND_FRAME_SAMPLES]
        frame = AudioFrame.from_ndarray(piece[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = sample_rate, start
        frame.time_base = Fraction(1, sample_rate)
        yield start / sample_rate, frame
