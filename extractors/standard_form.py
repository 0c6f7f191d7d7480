"""Writes an mp4 in the standard form, and checks what was written.

H.264 with a keyframe exactly every second, so that features at one frame a second need to decode
nothing else; mono AAC. The same frames give the same bytes: one thread, and neither a time nor
the version of a program in the file.
"""

from pathlib import Path
from types import TracebackType

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from extractors.filters import UNSPECIFIED_MATRIX, kept_matrix
from extractors.media import MediaError, find_audio, find_video, open_media
from extractors.track import packets

AUDIO_BIT_RATE = 64_000
AUDIO_RATES = tuple(av.Codec("aac", "w").audio_rates or ())

RGB_MATRIX = 0


class StandardFormWriter:
    """An mp4 under construction, of frames that have its size, rate and format already.

    Attributes:
        num_frames: Pictures written so far.
        sound_seconds: Length of the sound written so far.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: int,
        crf: int,
        preset: str,
        sample_rate: int | None,
        colours_of: VideoStream | None,
    ) -> None:
        """Begins the file.

        Args:
            path: The file.
            width: Of its pictures.
            height: Of its pictures.
            fps: Pictures a second, and from one keyframe to the next.
            crf: Quality as x264 counts it.
            preset: Effort as x264 names it.
            sample_rate: Of the sound; None leaves it out.
            colours_of: The source, whose meaning of colours is kept; None leaves pictures out.
        """
        self.path = path
        self.fps = fps
        self.num_frames, self.sound_seconds = 0, 0.0
        self._container = av.open(
            f"file:{path.absolute()}",
            "w",
            format="mp4",
            container_options={"movflags": "+faststart", "fflags": "+bitexact"},
        )
        self._video: VideoStream | None = None
        if colours_of is not None:
            self._video = self._pictures(fps, crf, preset)
            self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
            matrix = colours_of.colorspace
            self._video.colorspace = (
                UNSPECIFIED_MATRIX if matrix == RGB_MATRIX else kept_matrix(matrix)
            )
            self._video.color_primaries = colours_of.color_primaries
            self._video.color_trc = colours_of.color_trc
            self._video.color_range = ColorRange.MPEG
        self._audio: AudioStream | None = None
        if sample_rate is not None:
            self._audio = self._container.add_stream("aac", rate=sample_rate)
            self._audio.layout = "mono"
            self._audio.bit_rate = AUDIO_BIT_RATE
        for stream in self._container.streams:
            stream.codec_context.thread_count = 1
            stream.codec_context.flags |= Flags.bitexact

    def _pictures(self, fps: int, crf: int, preset: str) -> VideoStream:
        return self._container.add_stream(
            "libx264",
            rate=fps,
            options={
                "crf": str(crf),
                "preset": preset,
                "g": str(fps),
                "keyint_min": str(fps),
                "sc_threshold": "0",
                "a53cc": "0",
                # With AVX-512 x264 gives other bytes every few runs; AVX2 gains nothing over this.
                "x264-params": "asm=sse4.2",
            },
        )

    def write(self, frame: VideoFrame | AudioFrame) -> None:
        if isinstance(frame, VideoFrame):
            assert self._video is not None
            frame.pict_type = PictureType.NONE  # or x264 would keep the source's keyframes
            self.num_frames += 1
            self._container.mux(self._video.encode(frame))
        else:
            assert self._audio is not None
            self.sound_seconds += frame.samples / frame.sample_rate
            self._container.mux(self._audio.encode(frame))

    @property
    def seconds(self) -> float:
        """Length of the pictures written so far; of the sound where there are to be none."""
        return self.sound_seconds if self._video is None else self.num_frames / self.fps

    def __enter__(self) -> "StandardFormWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self.seconds:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
        finally:
            self._container.close()


def check_standard_form(path: Path, *, fps: int, num_frames: int, sound_seconds: float) -> None:
    """Reads a file in the standard form, packet by packet, which should hold so much.

    Raises:
        MediaError: "unverified", if not every frame came to lie in the file, if the keyframes are
            not exactly a second apart from 0 on, or if sound is missing.
    """
    keyframe_times, frames_found, sound_found = [], 0, 0.0
    with open_media(path) as container:
        video, audio = find_video(container), find_audio(container)
        streams = [stream for stream in (video, audio) if stream is not None]
        for packet in packets(container, *streams):
            if packet.pts is None:
                continue
            if packet.stream is video:
                frames_found += 1
                if packet.is_keyframe:
                    keyframe_times.append(packet.pts * packet.time_base)
            else:
                sound_found = float((packet.pts + (packet.duration or 0)) * packet.time_base)
    if frames_found != num_frames:
        problem = f"{frames_found} of {num_frames} frames"
    elif keyframe_times != list(range(-(-num_frames // fps))):
        problem = f"keyframes at {[float(time) for time in keyframe_times]} s"
    elif sound_found < sound_seconds - 0.1:
        problem = f"{sound_found:.1f} s of sound"
    else:
        return
    raise MediaError("unverified", f"{path}: {problem} found in it after writing")
