"""Decodes a stream as far as it goes, and keeps count of what was lost on the way.

A decoder that meets damage says so and goes on, or says nothing at all and ends early. A track
therefore adds up the time that its frames cover, to be held against what the file promised.
"""

import math
from collections import deque
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

from extractors.complaints import is_behind_damage, marked, num_complaints
from extractors.suspects import Suspects

if TYPE_CHECKING:
    MediaPacket = Packet[Stream]
else:
    MediaPacket = Packet  # which takes no parameters when run

MAX_GAP_SECONDS = 600
"""A frame that comes later than this after the one before it, and after the end that the file
promises, has a damaged time stamp."""

UNPROMISING = ("mpegts", "mpeg")
"""Containers that say nothing of their length: FFmpeg takes it from the time stamps."""

PROMISING = "mov,mp4,m4a,3gp,3g2,mj2"
"""The container whose index has a frame for every packet, and says how long each stays."""

SPARING = "mpeg4"
"""The codec that has packets for "as before", of which no frame comes."""

FEW_FRAMES = 3
"""What may come to nothing in such a container: a frame's second field, or what is shown before the
first keyframe."""

NEAR_PACKETS = 3
"""How far from the gap that it left damage may be noticed: a parser is a packet or two behind."""

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
        yield from marked(_demuxed(container, streams))
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


def _demuxed(container: InputContainer, streams: Sequence[Stream]) -> Iterator[MediaPacket]:
    while True:
        try:
            yield from container.demux(*streams)
            return
        except BlockingIOError:
            # So a transport stream says that it has found no packet in a long stretch of bytes, and
            # when asked again it looks on from there.
            pass


def time_base_of(stream: Stream) -> Fraction:
    """The length of a tick of the stream's time stamps, in seconds."""
    return stream.time_base or Fraction(1, av.time_base)


class Track:
    """One stream under decoding, on a single thread; its frames count time from the file's start.

    Attributes:
        num_errors: Packets at which something was found damaged, by the demuxer or the decoder, and
            frames that could not be used.
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
        self._last_seconds = -math.inf
        self._lost_seconds = 0.0
        self._suspects = Suspects()
        self._recent_seconds: deque[float] = deque(maxlen=NEAR_PACKETS)
        self._num_wary = 0
        self._decoder.thread_count = 1
        self._promises_frames = (
            stream.container.format.name == PROMISING and self._decoder.name != SPARING
        )

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
        seconds = self._note_packet(packet)
        before = num_complaints()
        try:
            frames = self._decoder.decode(packet)
        except MemoryError:  # which is one of FFmpeg's too
            raise
        except av.error.FFmpegError:
            self._note_damage(seconds)
            self._be_wary()
            return
        if any(frame.is_corrupt for frame in frames):
            self._note_damage(seconds)
            self._be_wary()
        elif num_complaints() > before:  # maybe of nothing: only a packet without a frame is lost
            self._note_damage(seconds)
        for frame in frames:
            if self._take(frame):
                yield frame

    def _note_packet(self, packet: MediaPacket) -> float:
        """When the packet's frame comes; suspects what may have been lost before it or with it."""
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None:
            return self._recent_seconds[-1] if self._recent_seconds else self.end_seconds
        seconds = float((ticks - self._start_pts) * self._time_base)
        if self._num_wary:
            self._num_wary -= 1
            self._suspects.add(self._recent_seconds[-1], seconds)
        self._recent_seconds.append(seconds)
        if is_behind_damage(packet) or packet.is_corrupt:
            self.num_errors += 1
            self._be_wary()
        if self._promises_frames and not packet.is_discard:
            least = FEW_FRAMES * float((packet.duration or 0) * self._time_base)
            self._suspects.add(seconds, seconds, least_gap_seconds=least)
        return seconds

    def _be_wary(self) -> None:
        """Suspects any gap among the packets around this one: what is lost may have lain there."""
        if self._recent_seconds:
            self._suspects.add(min(self._recent_seconds), max(self._recent_seconds))
            self._num_wary = NEAR_PACKETS

    def _take(self, frame: VideoFrame | AudioFrame) -> bool:
        """Places a frame in time; whether it can be used there."""
        seconds, duration_seconds = self._place(frame)
        if seconds > max(self.end_seconds + MAX_GAP_SECONDS, self._promised_end_seconds):
            self._note_damage(self.end_seconds)
            return False
        if self._begin_seconds is None:
            first_seconds = self._suspects.first_seconds
            begin = seconds if first_seconds is None else min(seconds, first_seconds)
            self._begin_seconds = self.end_seconds = begin
        if frame.is_corrupt:
            self._suspects.add(self._last_seconds, seconds + duration_seconds)
        lost_seconds = self._suspects.lost_before(
            seconds, last_seconds=self._last_seconds, end_seconds=self.end_seconds
        )
        if isinstance(frame, AudioFrame) and seconds > self.end_seconds + SILENCE_SECONDS:
            self.num_errors += 1
            lost_seconds = seconds - self.end_seconds
        self._lost_seconds += lost_seconds
        self._last_seconds = seconds
        self.end_seconds = max(self.end_seconds, seconds + duration_seconds)
        return True

    @property
    def _promised_end_seconds(self) -> float:
        container = self.stream.container
        assert isinstance(container, InputContainer)
        if container.format.name in UNPROMISING or not container.duration:
            return 0.0
        return float(container.duration / av.time_base)

    def _note_damage(self, seconds: float) -> None:
        self.num_errors += 1
        self._suspects.add(seconds, seconds)

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
