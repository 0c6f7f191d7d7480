"""Pictures of a resized video at an even rate, of the size that a network takes; without torch."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from extractors.media import MediaError, find_video, open_media, start_seconds
from extractors.streams import MovingPictures
from extractors.track import MediaPacket, Share, Track, packets

PICTURES_AT_ONCE = 64
"""A multiple of those of a clip, so that no clip is in two of the arrays."""


def moving_pictures_of(
    path: Path, wanted: MovingPictures
) -> Iterator[UInt8[np.ndarray, "some height width 3"]]:
    """The pictures of a file as `MovingPictureTap` takes them, some at a time."""
    with open_media(path) as container:
        tap = MovingPictureTap(path, container, wanted)
        yield from itertools.chain.from_iterable(map(tap.push, packets(container, tap.stream)))
        yield from tap.finish()


class MovingPictureTap:
    """Takes what is on the screen at each tick of an even rate from the packets of a video.

    Raises:
        MediaError: "no-video"; "undecodable", at the end, if there was no picture.
    """

    def __init__(self, path: Path, container: InputContainer, wanted: MovingPictures) -> None:
        self._path = path
        self._wanted = wanted
        video = find_video(container)
        if video is None:
            raise MediaError("no-video", f"{path}: there is no video in it")
        self.stream = video
        self._track = Track(video, start_seconds(container), _second_decoder(video))
        self._scaler = VideoReformatter()
        self._num_ticks = 0
        self._shown: VideoFrame | None = None
        self._picture: UInt8[np.ndarray, "height width 3"] | None = None
        self._waiting: list[UInt8[np.ndarray, "height width 3"]] = []

    @property
    def completeness(self) -> float:
        """The share of the time that the file promised."""
        track = self._track
        promised_seconds = track.promised_seconds or track.span_seconds
        return Share(track.decoded_seconds, promised_seconds).completeness

    @property
    def num_errors(self) -> int:
        """At how many places it was damaged so far."""
        return self._track.num_errors

    def push(self, packet: MediaPacket) -> Iterator[UInt8[np.ndarray, "some height width 3"]]:
        for frame in self._track.decode(packet):
            assert isinstance(frame, VideoFrame)
            assert frame.pts is not None
            assert frame.time_base is not None
            if self._shown is not None:
                self._show_until(frame.pts * frame.time_base)
            self._shown, self._picture = frame, None
            while len(self._waiting) >= PICTURES_AT_ONCE:
                yield self._taken()

    def finish(self) -> Iterator[UInt8[np.ndarray, "some height width 3"]]:
        if self._shown is None:
            raise MediaError("undecodable", f"{self._path}: none of its frames could be decoded")
        self._show_until(Fraction(self._track.end_seconds).limit_denominator(1_000_000))
        while self._waiting:
            yield self._taken()

    def _show_until(self, seconds: Fraction) -> None:
        """Takes the frame on the screen for each tick before that time; once for the first tick."""
        while not self._num_ticks or Fraction(self._num_ticks, self._wanted.fps) < seconds:
            if self._picture is None:
                assert self._shown is not None
                self._picture = self._scaled(self._shown)
            self._waiting.append(self._picture)
            self._num_ticks += 1

    def _scaled(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        high, wide = scaled_size(frame.height, frame.width, self._wanted.size)
        rgb = self._scaler.reformat(
            frame, wide, high, "rgb24", interpolation="BILINEAR", threads=1
        ).to_ndarray()
        crop_high, crop_wide = self._wanted.crop
        # As torchvision cuts, which rounds half to even.
        top, left = round((high - crop_high) / 2), round((wide - crop_wide) / 2)
        return rgb[top : top + crop_high, left : left + crop_wide]

    def _taken(self) -> UInt8[np.ndarray, "some height width 3"]:
        pictures = np.stack(self._waiting[:PICTURES_AT_ONCE])
        del self._waiting[:PICTURES_AT_ONCE]
        return pictures


def scaled_size(height: int, width: int, size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width after scaling to `size`, which may be that of the short side alone."""
    if len(size) == 2:
        return size
    (short,) = size
    if width < height:
        return int(short * height / width), short
    return short, int(short * width / height)


def _second_decoder(video: VideoStream) -> VideoCodecContext:
    """One of its own: that of the stream may be told to skip what lies between keyframes."""
    decoder = CodecContext.create(video.codec_context.codec, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = video.codec_context.extradata
    return decoder
