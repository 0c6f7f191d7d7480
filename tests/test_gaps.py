"""What is missing in the middle of a file counts, and a picture that stays for long does not."""

import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from extractors.media import find_video, open_media, start_seconds
from extractors.resize import ResizeConfig, resize_video
from extractors.track import Share, Track, least_share, packets
from tests.videos import FAST

CODECS = {
    ".mp4": "libx264",
    ".mkv": "libx264",
    ".webm": "libvpx",
    ".ts": "libx264",
    ".flv": "libx264",
}
STEADY = [k / 30 for k in range(600)]
RECORDING = [k / 30 for k in range(301) if k < 60 or k % 30 in (0, 1, 2, 17) or k > 280]
"""A recording of a screen: frames come where something moves, and there is nothing for a second."""
SLIDES = [0.0, 0.1, 2.0, 2.9, 5.5, 9.9]


def written(
    path: Path, times: Sequence[float], codec: str = "", options: dict[str, str] | None = None
) -> Path:
    """A silent video of noise that moves, in the container that the suffix says."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    codec = codec or CODECS[path.suffix]
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=30, options=FAST.get(codec))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 30
        stream.codec_context.time_base = Fraction(1, 30)
        stream.codec_context.thread_count = 1
        for k, time in enumerate(times):
            frame = VideoFrame.from_ndarray(np.roll(noise, k, 1))
            frame.pts, frame.time_base = round(30 * time), Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damaged(path: Path, how: str, start: float = 0.5, stop: float = 0.8) -> Path:
    """The file without those of its bytes, or with others in their place."""
    content = bytearray(path.read_bytes())
    hole = slice(int(len(content) * start), int(len(content) * stop))
    size = hole.stop - hole.start
    new = {"zero": bytes(size), "cut": b"", "noise": random.Random(1).randbytes(size)}
    content[hole] = new[how]
    path.write_bytes(content)
    return path


def share_of(path: Path) -> tuple[Share, int]:
    """What is left of a file, and how many errors were met."""
    with open_media(path) as container:
        stream = find_video(container)
        assert stream is not None
        track = Track(stream, start_seconds(container))
        for packet in packets(container, stream):
            for _ in track.decode(packet):
                pass
        return least_share([track], container), track.num_errors


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        (suffix, how)
        for suffix in CODECS
        for how in ("zero", "cut", "noise")
        if (suffix, how) != (".mp4", "cut")  # whose index is then gone
    ],
)
def test_a_third_of_the_bytes_is_missed_in_silent_films(
    tmp_path: Path, suffix: str, how: str
) -> None:
    share, num_errors = share_of(damaged(written(tmp_path / f"film{suffix}", STEADY), how))
    assert share.completeness < 0.8
    assert num_errors > 0


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("times", [RECORDING, SLIDES], ids=["recording", "slides"])
def test_a_picture_may_stay(tmp_path: Path, suffix: str, times: Sequence[float]) -> None:
    share, num_errors = share_of(written(tmp_path / f"film{suffix}", times))
    assert share.completeness > 0.98
    assert num_errors == 0


def test_a_picture_may_stay_elsewhere_in_a_damaged_file(tmp_path: Path) -> None:
    """Damage costs the gap in which it is, and not every second in which nothing moves."""
    times = [k / 30 for k in range(90)] + [4.0, 6.0, 8.0] + [9 + k / 30 for k in range(30)]
    path = written(tmp_path / "film.mkv", times, options={"cluster_time_limit": "500"})
    share, num_errors = share_of(damaged(path, "zero", 0.3, 0.32))
    assert num_errors > 0
    assert share.promised_seconds - share.decoded_seconds < 3.0


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_slides_may_be_shown_for_more_than_ten_minutes(tmp_path: Path, suffix: str) -> None:
    source = written(tmp_path / f"slides{suffix}", [0.0, 5.0, 700.0])
    config = ResizeConfig(width=32, height=24, fps=1, preset="ultrafast")
    resized = resize_video(source, tmp_path / "resized.mp4", config)
    assert resized.completeness == 1.0
    assert resized.num_frames >= 701


def test_frames_that_a_decoder_passes_over_without_a_word_are_missed(tmp_path: Path) -> None:
    """The first of zeros are no AV1, and yet no error to its decoder."""
    path = written(tmp_path / "film.mp4", STEADY[:120], "libsvtav1")
    share, _ = share_of(damaged(path, "zero"))
    assert share.completeness < 0.8
