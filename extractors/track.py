"""Decodes a stream as far as it goes, and keeps count of what was lost on the way.

A decoder that meets damage says so and goes on, or says nothing at all and ends early. A track
therefore adds up the time that its frames cover, to be held against what the file promised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

if TYPE_CHECKING:
    MediaPacket = Packet[Stream]
else:
    MediaPacket = Packet  # which takes no parameters when run

MAX_GAP_SECONDS = 600
"""A frame that comes later than this after the one before it has a damaged time stamp."""

ROUNDING_SECONDS = 0.05
"""What a promise may exceed the truth by: about a frame."""

SILENCE_SECONDS = 0.1
"""Sound has no pauses, only silence: a longer one was lost before it came to the decoder."""


def packets(container: InputContainer, *streams: Stream) -> Iterator[MediaPacket]:
    """The packets of these streams as far as sense can be made of the file, then a flush of each.

    Raises:
        OSError: The file could not be read on.
        MemoryError: There is not enough.
    """
    for stream in container.streams:
        if stream not in streams:
            stream.discard = Discard.all
    try:
        yield from container.demux(*streams)
    except (OSError, MemoryError):  # which FFmpeg's may be too; of damage no demuxer says so
        raise
    except IndexError:
        # PyAV has flushed these streams, and goes on to one that has turned up since the opening.
        return
    except av.error.FFmpegError:
        for stream in streams:
            flush: MediaPacket = Packet()
            flush.stream, flush.time_base = stream, time_base_of(stream)
            yield flush


def time_base_of(stream: Stream) -> Fraction:
    """The length of a tick of the stream's time stamps, in seconds."""
    return stream.time_base or Fraction(1, av.time_base)


class Track:
    """One stream under decoding, on a single thread; its frames count time from the file's start.

    Attributes:
        num_errors: Packets that could not be decoded, and frames that are known to be damaged.
        end_seconds: Where the last frame so far ends.
    """

    def __init__(
        self,
        stream: VideoStream | AudioStream,
        start_seconds: Fraction,
        decoder: VideoCodecContext | AudioCodecContext | None = None,
    ) -> None:
        """Takes the time stamp at which the file starts, and a decoder if not the stream's own."""
        self.stream = stream
        self._decoder = decoder or stream.codec_context
        self.num_errors = 0
        self.end_seconds = 0.0
        self._time_base = time_base_of(stream)
        self._start_pts = round(start_seconds / self._time_base)
        self._begin_seconds: float | None = None
        self._lost_seconds = 0.0
        self._is_broken = False
        self._form: tuple[object, ...] | None = None
        self._decoder.thread_count = 1

    @property
    def promised_seconds(self) -> float | None:
        """How long the stream is by the file's header, if that says so."""
        duration = self.stream.duration or 0
        if self.stream.container.format.name == "avi":
            # FFmpeg shortens the duration of an AVI that was cut off; the count of its ticks stays.
            duration = max(duration, self.stream.frames)
        return float(duration * self._time_base) if duration else None

    @property
    def span_seconds(self) -> float:
        """The time from the first frame so far to the end of the last."""
        return self.end_seconds - (self._begin_seconds or 0.0)

    @property
    def decoded_seconds(self) -> float:
        """The time that the frames so far cover."""
        return self.span_seconds - self._lost_seconds

    def decode(self, packet: MediaPacket) -> Iterator[VideoFrame | AudioFrame]:
        """The frames that a packet completes; damage is counted and passed over.

        Raises:
            MemoryError: There is not enough.
        """
        try:
            frames = self._decoder.decode(packet)
        except MemoryError:  # which is one of FFmpeg's too
            raise
        except av.error.FFmpegError:
            self._note_damage()
            return
        for frame in frames:
            seconds, duration_seconds = self._place(frame)
            if seconds > self.end_seconds + MAX_GAP_SECONDS or not self._has_form(frame):
                self._note_damage()
                continue
            self.num_errors += frame.is_corrupt
            if self._begin_seconds is None:
                self._begin_seconds = self.end_seconds = 0.0 if self._is_broken else seconds
            if isinstance(frame, AudioFrame) and seconds > self.end_seconds + SILENCE_SECONDS:
                self._note_damage()
            if self._is_broken:
                self._lost_seconds += max(0.0, seconds - self.end_seconds)
                self._is_broken = False
            self.end_seconds = max(self.end_seconds, seconds + duration_seconds)
            yield frame

    def _note_damage(self) -> None:
        self.num_errors += 1
        self._is_broken = True

    def _place(self, frame: VideoFrame | AudioFrame) -> tuple[float, float]:
        """Sets the frame's time to count from the file's start; returns it, and how long it is."""
        if frame.pts is None:
            frame.pts = round(self.end_seconds / self._time_base)
        else:
            frame.pts -= self._start_pts
        if isinstance(frame, AudioFrame):
            duration_seconds = frame.samples / frame.sample_rate
        elif frame.duration:
            duration_seconds = float(frame.duration * self._time_base)
        else:
            duration_seconds = float(1 / (self.stream.average_rate or 1))
        return float(frame.pts * self._time_base), duration_seconds

    def _has_form(self, frame: VideoFrame | AudioFrame) -> bool:
        """Whether sound goes on in the form in which it began: a filter cannot change over."""
        if isinstance(frame, VideoFrame):
            return True
        form = frame.format.name, frame.sample_rate, frame.layout.name
        self._form = self._form or form
        return form == self._form


@dataclass(frozen=True)
class Share:
    """How much of what was promised could be decoded."""

    decoded_seconds: float
    promised_seconds: float

    @property
    def completeness(self) -> float:
        """Between 0 and 1; 1 too where nothing was promised, or all but a rounded time stamp."""
        if self.promised_seconds - self.decoded_seconds < ROUNDING_SECONDS:
            return 1.0
        return self.decoded_seconds / self.promised_seconds


def least_share(tracks: Sequence[Track], container: InputContainer) -> Share:
    """What was decoded of the track of which most is missing.

    A track that promises nothing is held against its own span, so that damage counts. Where none
    promises anything, the container's promise is held against the one that lasts longest.
    """
    shares = [
        Share(track.decoded_seconds, track.promised_seconds or track.span_seconds)
        for track in tracks
    ]
    if container.duration and not any(track.promised_seconds for track in tracks):
        longest = max(track.end_seconds for track in tracks)
        shares.append(Share(longest, container.duration / av.time_base))
    return min(shares, key=lambda share: share.completeness)
