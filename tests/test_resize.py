"""Every kind of video comes out in the standard form, or with a reason why not."""

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from extractors.filters import Fit, pulled, video_graph
from extractors.media import MediaError, keyframes, open_media, probe, read_waveform
from extractors.resize import ResizeConfig, ResizedVideo, resize_video
from tests.videos import write_video

UNEVEN = [0, 0.04, 0.1, 0.48, 0.5, 0.62, 0.75, 1.1, 1.5, 1.75, 1.9]
SOURCES: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "slow.mp4": {"fps": 12},
    "fast.mp4": {"fps": 60},
    "ntsc.mp4": {"fps": 30_000 / 1001},
    "film.webm": {},
    "film.mkv": {},
    "film.avi": {"codecs": ("mpeg4", "pcm_s16le")},
    "vp9.webm": {"codecs": ("libvpx-vp9", "libopus")},
    "uneven.mp4": {"frame_times": UNEVEN},
    "uneven.mkv": {"frame_times": UNEVEN},
    "odd.webm": {"width": 321, "height": 241},
    "tall.mp4": {"width": 120, "height": 300},
    "ten-bit.mkv": {"pix_fmt": "yuv420p10le"},
    "telephone.mp4": {"sample_rate": 8_000, "layout": "mono"},
    "surround.mp4": {"layout": "5.1"},
    "late-sound.mp4": {"audio_starts_at": 0.3},
    "late-picture.mkv": {"video_starts_at": 0.3},
    "-dashed.mp4": {},
    "two 'words'.mp4": {},
}


def resize(
    tmp_path: Path, name: str, config: ResizeConfig | None = None, **kind: Any
) -> tuple[ResizedVideo, Path]:
    source = write_video(tmp_path / name, **kind)
    target = tmp_path / "resized.mp4"
    return resize_video(source, target, config or ResizeConfig()), target


@pytest.mark.parametrize("name", SOURCES)
def test_any_source_becomes_the_standard_form_with_picture_and_sound_in_step(
    tmp_path: Path, name: str
) -> None:
    resized, target = resize(tmp_path, name, **SOURCES[name])
    info = probe(target)
    assert (info.width, info.height, info.fps) == (454, 256, 30.0)
    assert (info.rotation_degrees, info.sample_rate) == (0, 16_000)
    assert resized.seconds == pytest.approx(2.0, abs=0.07)
    assert resized.num_frames == info.num_frames == round(resized.seconds * 30)
    assert resized.has_audio
    assert resized.completeness == 1.0
    assert resized.num_errors == 0
    assert [time for time, _ in keyframes(target)] == list(range(math.ceil(resized.seconds)))
    tick = 1 / SOURCES[name].get("fps", 25)
    np.testing.assert_allclose(seen_changes(target), [0.5, 0.75, 1.5, 1.75], atol=tick + 1 / 60)
    np.testing.assert_allclose(heard_changes(target), [0.5, 0.75, 1.5, 1.75], atol=0.01)


@pytest.mark.parametrize(
    ("degrees", "x", "y"), [(0, 20, 20), (90, 20, 236), (180, 434, 236), (270, 434, 20)]
)
def test_a_picture_on_its_side_is_set_upright(tmp_path: Path, degrees: int, x: int, y: int) -> None:
    _, target = resize(tmp_path, "turned.mp4", seconds=0.1, rotation_degrees=degrees)
    _, picture = next(keyframes(target))
    np.testing.assert_allclose(picture[y, x], [255, 0, 0], atol=12)


@pytest.mark.parametrize(
    ("fit", "left", "red_size"),
    [("stretch", 0, (113, 64)), ("pad", 99, (64, 64)), ("crop", 0, (113, 14))],
)
@pytest.mark.parametrize("kind", [{"width": 256}, {"width": 128, "pixel_aspect": 2}])
def test_a_square_is_stretched_padded_or_cropped(
    tmp_path: Path, fit: Fit, left: int, red_size: tuple[int, int], kind: dict[str, int]
) -> None:
    _, target = resize(
        tmp_path, "square.mp4", ResizeConfig(fit=fit), height=256, seconds=0.1, **kind
    )
    _, picture = next(keyframes(target))
    red = (picture[:, :, 0] > 160) & (picture[:, :, 1] < 60)
    columns = np.flatnonzero(red.any(axis=0))
    assert columns[0] == pytest.approx(left, abs=2)
    np.testing.assert_allclose((len(columns), red.any(axis=1).sum()), red_size, atol=2)
    assert (picture[128, : max(0, left - 2)] < 12).all()


@pytest.mark.parametrize("matrix, kept", [(1, 1), (8, 1), (10, 9), (14, 2), (3, 2)])
def test_colours_in_a_matrix_that_no_scaler_knows_are_resized_too(
    tmp_path: Path, matrix: int, kept: int
) -> None:
    source = write_video(tmp_path / "source.mp4", seconds=0.5, sample_rate=None, matrix=matrix)
    resize_video(source, tmp_path / "resized.mp4", ResizeConfig(preset="ultrafast"))
    with open_media(tmp_path / "resized.mp4") as container:
        assert container.streams.video[0].colorspace == kept
    assert len(list(keyframes(tmp_path / "resized.mp4"))) == 1


def test_the_colours_of_ycgco_are_kept() -> None:
    red, green, blue = 200, 100, 50
    planes = (red + 2 * green + blue) / 4, (2 * green - red - blue) / 4, (red - blue) / 2
    frames = []
    for k in range(2):
        frame = VideoFrame(64, 48, "yuv420p")
        for plane, offset, value in zip(frame.planes, (0, 128, 128), planes, strict=True):
            plane.update(bytes([round(offset + value)]) * plane.buffer_size)
        frame.colorspace, frame.color_range = 8, 2
        frame.pts, frame.time_base = k, Fraction(1, 30)
        frames.append(frame)
    graph = video_graph(frames[0], width=32, height=24, fps=30, fit="stretch")
    for pushed in (*frames, None):
        graph.push(pushed)
    first = next(pulled(graph))
    assert isinstance(first, VideoFrame)
    shown = VideoReformatter().reformat(first, format="rgb24").to_ndarray()
    assert np.abs(shown.astype(int) - [red, green, blue]).max() <= 4


def test_a_video_without_sound_stays_without(tmp_path: Path) -> None:
    resized, target = resize(tmp_path, "mute.mp4", sample_rate=None)
    assert not resized.has_audio
    assert not probe(target).has_audio


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_one_frame_is_a_video(tmp_path: Path, suffix: str) -> None:
    resized, target = resize(tmp_path, f"still{suffix}", seconds=0.01, fps=60, sample_rate=None)
    assert resized.num_frames == probe(target).num_frames == 1
    assert resized.completeness == 1.0


def test_keyframes_are_a_second_apart_at_any_rate_and_size(tmp_path: Path) -> None:
    config = ResizeConfig(width=64, height=48, fps=7)
    _, target = resize(tmp_path, "long.mp4", config, seconds=5.5, width=64, height=48)
    assert [seconds for seconds, _ in keyframes(target)] == [0, 1, 2, 3, 4, 5]


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", seconds=4, frame_times=UNEVEN)
    targets = [tmp_path / f"{k}.mp4" for k in range(4)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda target: resize_video(source, target, ResizeConfig()), targets))
    assert len({target.read_bytes() for target in targets}) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv", ".avi"])
def test_a_truncated_video_is_refused_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    source = write_video(tmp_path / f"source{suffix}", seconds=6.0)
    cut(source, 0.6)
    folder = tmp_path / "resized"
    folder.mkdir()
    with pytest.raises(MediaError, match=r"\d\.\d of 6\.\d s could be decoded") as error:
        resize_video(source, folder / "video.mp4", ResizeConfig())
    assert error.value.reason == "truncated"
    assert not list(folder.iterdir())


def test_a_truncated_video_may_be_enough_for_somebody(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", seconds=6.0)
    cut(source, 0.6)
    resized = resize_video(source, tmp_path / "video.mp4", ResizeConfig(min_complete=0.2))
    assert resized.completeness == pytest.approx(resized.seconds / 6.0, abs=0.1)
    assert 0.2 < resized.completeness < 0.7


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_a_hole_in_the_middle_is_no_less_missing_than_the_end(tmp_path: Path, suffix: str) -> None:
    source = write_video(tmp_path / f"source{suffix}", seconds=20.0)
    content = bytearray(source.read_bytes())
    hole = slice(len(content) // 2, len(content) * 3 // 4)
    content[hole] = bytes(hole.stop - hole.start)
    source.write_bytes(content)
    resized = resize_video(source, tmp_path / "video.mp4", ResizeConfig(min_complete=0.0))
    assert resized.seconds == pytest.approx(20.0, abs=0.1)
    assert resized.num_errors > 0
    assert resized.completeness < 0.9


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"no video\n" * 1000, "unreadable")]
)
def test_what_is_no_video_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    source = tmp_path / "source.mp4"
    source.write_bytes(content)
    with pytest.raises(MediaError, match=r"source\.mp4") as error:
        resize_video(source, tmp_path / "video.mp4", ResizeConfig())
    assert error.value.reason == reason


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    _, target = resize(tmp_path, "good.mp4")
    before = target.read_bytes()
    (tmp_path / "bad.mp4").write_bytes(b"")
    with pytest.raises(MediaError):
        resize_video(tmp_path / "bad.mp4", target, ResizeConfig())
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [{"width": 455}, {"fps": 0}, {"crf": 60}, {"min_complete": 1.5}, {"sample_rate": 16_001}],
)
def test_a_form_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    (value,) = change.values()
    with pytest.raises(ValueError, match=str(value)):
        ResizeConfig(**change)


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def seen_changes(path: Path) -> list[float]:
    """When the white block of a clap appears and disappears, in seconds."""
    is_white = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert isinstance(frame, VideoFrame)
            is_white.append(frame.to_ndarray(format="gray")[128, 227] > 180)
    return changes(np.array(is_white), 30)


def heard_changes(path: Path) -> list[float]:
    """When the tone of a clap begins and ends, in seconds."""
    waveform = read_waveform(path)
    steps = np.abs(waveform[: len(waveform) // 16 * 16]).reshape(-1, 16).max(axis=1)
    return changes(steps > 0.1, 1000)


def changes(is_on: NDArray[np.bool_], rate: int) -> list[float]:
    return [float(k + 1) / rate for k in np.flatnonzero(is_on[1:] != is_on[:-1])]
