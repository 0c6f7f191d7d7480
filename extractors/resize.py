"""Brings a video to the standard form: one size, one frame rate, a keyframe a second, mono sound.

Picture and sound keep their places in time, counted from the start of the file. A file in its
place is whole: it is written aside, read back, held against its source, and only then renamed.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal

from av.container import InputContainer
from av.stream import Stream

from extractors.filters import Fit, video_graph
from extractors.lane import Lane
from extractors.media import MediaError, find_audio, find_video, open_media, start_seconds
from extractors.publish import publish
from extractors.readable import check_readable
from extractors.sound_lane import SoundLane
from extractors.standard_form import AUDIO_RATES, StandardFormWriter, check_standard_form
from extractors.track import Track, least_share, packets
from extractors.wav import share_there

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"]


@dataclass(frozen=True, kw_only=True)
class ResizeConfig:
    """The standard form of a video."""

    width: int = 454
    """Width in pixels; even."""
    height: int = 256
    """Height in pixels; even."""
    fps: int = 30
    """Frames a second; the first of each second is a keyframe."""
    sample_rate: int = 16_000
    """Samples of sound a second."""
    fit: Fit = "stretch"
    """What happens to a picture of another shape: distorted, given black bars, or its edges cut."""
    crf: int = 23
    """Quality as x264 counts it: 0 is lossless, 51 the worst; 18 takes a quarter more work than 23,
    and a file three quarters larger."""
    preset: Preset = "veryfast"
    """How much work x264 puts into a small file. The 898,096 videos of HowTo100M, at 390 s of
    640x360, take 7,700 core-hours with superfast, 10,500 with veryfast, 15,900 with faster and
    21,500 with medium, measured on an AMD EPYC core."""
    min_complete: float = 0.95
    """Smallest share of the promised length that must be there."""

    def __post_init__(self) -> None:
        """Refuses what H.264 cannot hold."""
        if self.width < 2 or self.height < 2 or self.width % 2 or self.height % 2:
            raise ValueError(f"{self.width}x{self.height} cannot be stored: lengths must be even")
        if self.fps < 1:
            raise ValueError(f"fps {self.fps} must be 1 or more")
        if self.sample_rate not in AUDIO_RATES:
            rates = ", ".join(map(str, sorted(AUDIO_RATES)))
            raise ValueError(f"sample_rate {self.sample_rate} is none that AAC has: {rates}")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf {self.crf} is outside 0..51")
        if not 0 <= self.min_complete <= 1:
            raise ValueError(f"min_complete {self.min_complete} is outside 0..1")


@dataclass(frozen=True, kw_only=True)
class ResizedVideo:
    """What became of a video."""

    seconds: float
    """Length of the picture; of the sound where there is no picture."""
    num_frames: int
    has_audio: bool
    completeness: float
    """Share of what the source promised that could be decoded, in time; at most 1."""
    num_errors: int
    """Places at which the source was damaged, as far as the decoders said so."""


def resize_video(
    source: Path, target: Path, config: ResizeConfig, *, accepts_sound_alone: bool = False
) -> ResizedVideo:
    """Writes `source` in the standard form to `target`, an mp4; the same bytes every time.

    Works on one thread and mostly outside Python's lock: several videos go well side by side.

    Raises:
        MediaError: If the source cannot be opened; "no-video" or "undecodable" if it shows no
            picture, where sound alone is not accepted; "truncated" if too much of it is missing;
            "unreadable-now" if anything is, and not every byte of the source can be read;
            "unverified" if what was read back is not what had been written.
    """
    aside = target.with_name(f".{target.name}.part")
    try:
        with open_media(source) as container:
            written, tracks = _convert(source, container, aside, config, accepts_sound_alone)
            if not written.seconds:
                raise MediaError("undecodable", f"{source}: none of its frames could be decoded")
            share = least_share(tracks, container)
            if container.format.name == "wav":
                promised_seconds = share.promised_seconds / share_there(source)
                share = replace(share, promised_seconds=promised_seconds)
        if share.completeness < 1:
            check_readable(source)  # for what is missing may only be out of reach
        if share.completeness < config.min_complete:
            raise MediaError(
                "truncated",
                f"{source}: {share.decoded_seconds:.1f} of {share.promised_seconds:.1f} s could be "
                "decoded",
            )
        check_standard_form(
            aside,
            fps=config.fps,
            num_frames=written.num_frames,
            sound_seconds=written.sound_seconds,
        )
        publish(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return ResizedVideo(
        seconds=written.seconds,
        num_frames=written.num_frames,
        has_audio=written.sound_seconds > 0,
        completeness=share.completeness,
        num_errors=sum(track.num_errors for track in tracks),
    )


def _convert(
    source: Path,
    container: InputContainer,
    aside: Path,
    config: ResizeConfig,
    accepts_sound_alone: bool,
) -> tuple[StandardFormWriter, list[Track]]:
    video, audio = find_video(container), find_audio(container)
    if video is None and (audio is None or not accepts_sound_alone):
        raise MediaError("no-video", f"{source}: there is no video in it")
    start = start_seconds(container)
    with StandardFormWriter(
        aside,
        width=config.width,
        height=config.height,
        fps=config.fps,
        crf=config.crf,
        preset=config.preset,
        sample_rate=config.sample_rate if audio else None,
        colours_of=video,
    ) as writer:
        lanes: dict[Stream, Lane | SoundLane] = {}
        if video is not None:
            to_video = partial(
                video_graph,
                width=config.width,
                height=config.height,
                fps=config.fps,
                fit=config.fit,
                pixel_aspect=video.sample_aspect_ratio or Fraction(1),
                source_fps=float(video.average_rate or 0),
            )
            lanes[video] = Lane(Track(video, start), to_video, writer.write)
        if audio is not None:
            lanes[audio] = SoundLane(Track(audio, start), config.sample_rate, writer.write)
        for packet in packets(container, *lanes):
            lanes[packet.stream].push(packet)
        for lane in lanes.values():
            lane.finish()
    return writer, [lane.track for lane in lanes.values()]
