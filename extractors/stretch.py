"""What is shown and heard in a short stretch of a resized video, by decoding little more than that.

The file is read from the keyframe before the stretch. Each stretch has decoders of its own, so that
it has the same bits whatever was read before: those that decoding the whole file gives. (At bit
rates below that of the standard form AAC may leave noise to the decoder, and then samples differ.)
"""

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import CodecContext, Flags2
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32

from extractors.media import MediaError, find_audio, find_video, start_seconds
from extractors.track import MediaPacket, time_base_of

WARM_UP_SECONDS = Fraction(1, 4)
"""Of sound before a stretch: a frame of AAC, 64 ms, is completed by the one before it."""


class Stretch:
    """The packets of a stretch, as an opened file has them.

    Raises:
        MediaError: "unreadable" if the file is damaged there.
    """

    def __init__(
        self, container: InputContainer, start_seconds: Fraction, end_seconds: Fraction
    ) -> None:
        self.name = container.name
        self.start_seconds, self.end_seconds = start_seconds, end_seconds
        self.video, self.audio = find_video(container), find_audio(container)
        try:
            self._packets = self._read(container)
        except av.error.FFmpegError as error:
            raise self._error("unreadable", error.strerror) from error

    def pictures(self, ticks: Sequence[Fraction]) -> list[VideoFrame]:
        """What is on the screen at these times of the stretch, which ascend.

        Raises:
            MediaError: "no-video"; "undecodable" if any of it is missing or damaged.
        """
        if self.video is None:
            raise self._error("no-video", "there is no video in it")
        packets = self._packets[self.video.index]
        shown = _shown_at(packets, ticks, time_base_of(self.video))
        if shown is None:
            raise self._error("undecodable", "there are no pictures")
        try:
            found = _decoded(self.video, packets, set(shown))
        except av.error.FFmpegError as error:
            raise self._error("undecodable", error.strerror) from error
        if not found.keys() >= set(shown):
            raise self._error("undecodable", "pictures are missing")
        return [found[pts] for pts in shown]

    def sound(self, rate: int) -> Float32[np.ndarray, " samples"]:
        """The samples of the stretch; silence where there are none in between, none at its end.

        Raises:
            MediaError: "no-audio"; "undecodable" if any of it is damaged or not finite, or is not
                in mono with so many samples a second, as damage may make it.
        """
        if self.audio is None:
            raise self._error("no-audio", "there is no sound in it")
        first, stop = round(self.start_seconds * rate), round(self.end_seconds * rate)
        samples, num_heard = np.zeros(stop - first, np.float32), 0
        try:
            for begin, piece in self._samples(self.audio, rate):
                begin -= first
                inside = slice(max(begin, 0), min(begin + len(piece), len(samples)))
                if inside.start < inside.stop:
                    samples[inside] = piece[inside.start - begin : inside.stop - begin]
                    num_heard = max(num_heard, inside.stop)
        except av.error.FFmpegError as error:
            raise self._error("undecodable", error.strerror) from error
        if not np.isfinite(samples).all():
            raise self._error("undecodable", "samples are not finite")
        return samples[:num_heard]

    def _read(self, container: InputContainer) -> dict[int, list[MediaPacket]]:
        """Packets by stream in the order of decoding; their times count from the file's start."""
        streams = [stream for stream in (self.video, self.audio) if stream is not None]
        found: dict[int, list[MediaPacket]] = {stream.index: [] for stream in streams}
        if not streams:
            return found
        start = start_seconds(container)
        starts = {s.index: round(start / time_base_of(s)) for s in streams}
        stops = {s.index: (start + self.end_seconds) / time_base_of(s) for s in streams}
        from_seconds = max(self.start_seconds - WARM_UP_SECONDS, Fraction(0)) + start
        container.seek(int(from_seconds / time_base_of(streams[0])), stream=streams[0])
        for packet in container.demux(*streams):
            index = packet.stream.index
            if packet.dts is None or packet.pts is None or index not in stops:
                continue
            if packet.dts >= stops[index]:
                del stops[index]
                if not stops:
                    break
                continue
            packet.pts -= starts[index]
            found[index].append(packet)
        return found

    def _samples(
        self, audio: AudioStream, rate: int
    ) -> "list[tuple[int, Float32[np.ndarray, ' some']]]":
        """Pieces of sound, and the sample of the file that each begins with."""
        decoder = _fresh_decoder(audio)
        assert isinstance(decoder, AudioCodecContext)
        decoder.flags2 |= (
            Flags2.skip_manual
        )  # else what comes before the file's start moves what follows
        tick = time_base_of(audio)
        pieces = []
        for packet in [*self._packets[audio.index], None]:
            for frame in decoder.decode(packet):
                if not isinstance(frame, AudioFrame) or frame.pts is None:
                    raise self._error("undecodable", "sound without a time stamp")
                if (frame.rate, frame.format.name, frame.layout.nb_channels) != (rate, "fltp", 1):
                    raise self._error("undecodable", f"sound that is not mono at {rate} Hz")
                pieces.append((round(frame.pts * tick * rate), frame.to_ndarray()[0]))
        return pieces

    def _error(self, reason: str, problem: object) -> MediaError:
        start, end = float(self.start_seconds), float(self.end_seconds)
        return MediaError(reason, f"{self.name} from {start:.2f} to {end:.2f} s: {problem}")


def _shown_at(
    packets: Sequence[MediaPacket], ticks: Sequence[Fraction], time_base: Fraction
) -> list[int] | None:
    """The time stamp of the picture on the screen at each tick; None where there are none."""
    stamps = np.sort([packet.pts for packet in packets if packet.pts is not None])
    places = np.searchsorted(stamps, [int(tick / time_base) for tick in ticks], side="right")
    return [int(stamps[max(place - 1, 0)]) for place in places] if len(stamps) else None


def _decoded(
    video: VideoStream, packets: Sequence[MediaPacket], wanted: set[int]
) -> dict[int, VideoFrame]:
    """Sound frames by their time stamps: those wanted, and those that it takes to decode them."""
    earliest = min(wanted)
    keyframes = [k for k, p in enumerate(packets) if p.is_keyframe and (p.pts or 0) <= earliest]
    last = max(k for k, packet in enumerate(packets) if packet.pts in wanted)
    decoder = _fresh_decoder(video)
    assert isinstance(decoder, VideoCodecContext)
    found: dict[int, VideoFrame] = {}
    for packet in [*packets[keyframes[-1] if keyframes else 0 : last + 1], None]:
        if packet is not None:
            # What no other picture refers to is decoded for its own sake alone.
            decoder.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        for frame in decoder.decode(packet):
            if frame.pts is not None and not frame.is_corrupt:
                found[frame.pts] = frame
    return found


def _fresh_decoder(stream: VideoStream | AudioStream) -> CodecContext:
    decoder = CodecContext.create(stream.codec_context.codec, "r")
    decoder.extradata = stream.codec_context.extradata
    decoder.thread_count = 1
    return decoder
