"""Reads media files: what they promise, the pictures at their keyframes, their sound.

Whatever a file is called, it is opened as a local file and nothing else: no name is taken for an
option or a URL, and no playlist is followed to another file. Times count from the start of the
file, in seconds. FFmpeg comes with PyAV, which keeps its messages off the terminal.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8

from extractors.sound_lane import SoundLane
from extractors.track import MediaPacket, Track, packets

FORMATS = "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,asf,ogg,wav,flac"
"""The containers that are read. Those that name further files, as playlists do, are not here."""

PROBE_BYTES = 5_000_000
"""How far FFmpeg may read to find out what a file holds."""

MAX_PIXELS = 8192 * 8192
"""What a picture may have: twice that of 8K. A decoder holds up to 17 of them at once."""

PIECES_AT_ONCE = 1000
"""Of sound; about a minute."""


class MediaError(Exception):
    """A media file that cannot be used.

    Attributes:
        reason: One word to count by: missing, empty, unreadable, no-video, no-audio, ...
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)  # both, so that it can cross to another process
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """What the header of a file says, before anything but its first frame is decoded."""

    seconds: float | None
    """Length that the container promises, if it does."""
    num_frames: int | None
    """Frames that the container promises, if it does."""
    width: int | None
    """As stored, before a player turns it."""
    height: int | None
    """As stored, before a player turns it."""
    fps: float | None
    """On average; frames need not be evenly spaced."""
    rotation_degrees: int
    """How far a player turns the picture counter-clockwise, from 0 to 359."""
    sample_rate: int | None
    """Of the sound, if there is any."""

    @property
    def has_audio(self) -> bool:
        return self.sample_rate is not None


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """The opened file.

    Raises:
        MediaError: "missing", "empty", or "unreadable" if it is no media file; "unreadable-now" if
            it is there and cannot be read, at the opening or later on.
        OSError: Its folder cannot be read either.
        MemoryError: There is not enough.
    """
    name = f"file:{path.absolute()}"
    try:
        _check_there(path)
        container = av.open(
            name,
            "r",
            container_options={
                "protocol_whitelist": "file",
                "format_whitelist": FORMATS,
                "probesize": str(PROBE_BYTES),
            },
            metadata_errors="replace",
        )
    except MemoryError:  # which is one of FFmpeg's too
        raise
    except FileNotFoundError as error:
        raise MediaError("missing", f"{path}: it was there a moment ago") from error
    except av.error.FFmpegError as error:
        raise MediaError(
            "unreadable",
            f"{path}: not a video, or its header is damaged or cut off ({error.strerror})",
        ) from error
    except OSError as error:
        raise not_read(path, error) from error
    try:
        with container:
            yield container
    except OSError as error:
        if error.filename != name:  # another's, as of the file that is being written
            raise
        raise not_read(path, error) from error


def _check_there(path: Path) -> None:
    if not path.exists():
        raise MediaError("missing", f"{path}: there is no such file")
    if not path.is_file():
        raise MediaError("unreadable", f"{path}: a folder, a pipe or a device, and no file")
    with path.open("rb") as file:
        if not file.read(1):
            raise MediaError("empty", f"{path}: the file is empty")


def not_read(path: Path, error: OSError) -> MediaError:
    """The failure of a file that is there and cannot be read.

    Raises:
        OSError: Its folder cannot be read either, so that no single file is to blame.
    """
    with os.scandir(path.parent) as entries:
        next(entries, None)
    return MediaError("unreadable-now", f"{path}: cannot be read now ({error.strerror or error})")


def find_video(container: InputContainer) -> VideoStream | None:
    """The moving picture of a file, if FFmpeg can decode it; cover art does not count.

    Raises:
        MediaError: "too-large" if it has more pixels than anybody films.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        return None
    if stream.disposition & Disposition.attached_pic:
        return None
    if stream.width * stream.height > MAX_PIXELS:
        size = f"{stream.width}x{stream.height}"
        raise MediaError("too-large", f"{container.name}: pictures of {size} are not decoded")
    return stream


def find_audio(container: InputContainer) -> AudioStream | None:
    """The sound of a file, if FFmpeg can decode it."""
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        return None
    return stream


def start_seconds(container: InputContainer) -> Fraction:
    """The time stamp at which the file starts; 0 where it does not say."""
    return Fraction(container.start_time or 0, av.time_base)


def probe(path: Path) -> MediaInfo:
    """What a file promises.

    Raises:
        MediaError: If it cannot be opened.
    """
    with open_media(path) as container:
        video, audio = find_video(container), find_audio(container)
        return MediaInfo(
            seconds=None if container.duration is None else container.duration / av.time_base,
            num_frames=video.frames or None if video else None,
            width=video.width if video else None,
            height=video.height if video else None,
            fps=float(video.average_rate) if video and video.average_rate else None,
            rotation_degrees=_rotation_degrees(container, video) if video else 0,
            sample_rate=audio.sample_rate if audio else None,
        )


def _rotation_degrees(container: InputContainer, video: VideoStream) -> int:
    track = Track(video, start_seconds(container))
    for packet in packets(container, video):
        for frame in track.decode(packet):
            assert isinstance(frame, VideoFrame)
            return frame.rotation % 360
    return 0


def keyframes(path: Path) -> Iterator[tuple[float, UInt8[np.ndarray, "height width 3"]]]:
    """Seconds and RGB picture of each keyframe; what lies between them is not decoded.

    Raises:
        MediaError: If the file cannot be opened or has no moving picture ("no-video").
    """
    with open_media(path) as container:
        video = find_video(container)
        if video is None:
            raise MediaError("no-video", f"{path}: there is no video in it")
        decoder = KeyframeDecoder(video, start_seconds(container))
        yield from itertools.chain.from_iterable(map(decoder.push, packets(container, video)))


class KeyframeDecoder:
    """Decodes the keyframes among a video's packets, and nothing that lies between them."""

    def __init__(self, video: VideoStream, start_seconds: Fraction) -> None:
        video.codec_context.skip_frame = "NONKEY"
        self.track = Track(video, start_seconds)
        self._to_rgb = VideoReformatter()

    def push(
        self, packet: MediaPacket
    ) -> Iterator[tuple[float, UInt8[np.ndarray, "height width 3"]]]:
        """Seconds and RGB picture of each keyframe that the packet completes."""
        # The demuxer must not be told to leave the others out: FFmpeg's for mp4 then shifts times.
        if packet.size and not packet.is_keyframe:
            return
        for frame in self.track.decode(packet):
            assert isinstance(frame, VideoFrame)
            assert frame.time is not None
            yield frame.time, self._to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()


def read_waveform(path: Path, sample_rate: int = 16_000) -> Float32[np.ndarray, " samples"]:
    """The sound in mono from the start of the file; silence where there is none.

    Raises:
        MediaError: If the file cannot be opened or has no sound ("no-audio").
    """
    return np.concatenate(list(sound_of(path, sample_rate)))


def sound_of(path: Path, sample_rate: int) -> Iterator[Float32[np.ndarray, " some"]]:
    """The samples of `read_waveform`, some at a time."""
    with open_media(path) as container:
        audio = find_audio(container)
        if audio is None:
            raise MediaError("no-audio", f"{path}: there is no sound in it")
        decoder = SoundDecoder(path, audio, start_seconds(container), sample_rate)
        yield from itertools.chain.from_iterable(map(decoder.push, packets(container, audio)))
        yield from decoder.finish()


class SoundDecoder:
    """Decodes the packets of sound to mono samples from the start of the file, some at a time."""

    def __init__(
        self, path: Path, audio: AudioStream, start_seconds: Fraction, sample_rate: int
    ) -> None:
        self.track = Track(audio, start_seconds)
        self._path = path
        self._pieces: list[Float32[np.ndarray, " some"]] = []
        self._has_sound = False
        self._lane = SoundLane(
            self.track, sample_rate, lambda frame: self._pieces.append(frame.to_ndarray()[0])
        )

    def push(self, packet: MediaPacket) -> Iterator[Float32[np.ndarray, " some"]]:
        self._lane.push(packet)
        if len(self._pieces) >= PIECES_AT_ONCE:
            yield self._taken()

    def finish(self) -> Iterator[Float32[np.ndarray, " some"]]:
        """The last samples.

        Raises:
            MediaError: "no-audio" if there were none at all.
        """
        self._lane.finish()
        if self._pieces:
            yield self._taken()
        elif not self._has_sound:
            raise MediaError("no-audio", f"{self._path}: none of its sound could be decoded")

    def _taken(self) -> Float32[np.ndarray, " some"]:
        sound = np.concatenate(self._pieces)
        self._pieces.clear()
        self._has_sound = True
        return sound
