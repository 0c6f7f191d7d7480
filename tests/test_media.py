"""Reading of media files, of every kind and in every state."""

import os
import pickle
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from extractors.media import MediaError, keyframes, probe, read_waveform
from tests.videos import is_clap, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("media") / "video.mp4")


def write_wav(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    return path


def test_a_header_tells_length_size_rate_and_sound(video: Path) -> None:
    info = probe(video)
    assert (info.width, info.height, info.fps) == (320, 240, 25.0)
    assert (info.num_frames, info.sample_rate) == (50, 48_000)
    assert info.seconds == pytest.approx(2.0, abs=0.05)
    assert info.has_audio


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".avi"])
def test_other_containers_are_read_alike(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"video{suffix}")
    info = probe(path)
    assert (info.width, info.height, info.sample_rate) == (320, 240, 48_000)
    assert info.seconds == pytest.approx(2.0, abs=0.05)
    assert next(keyframes(path))[0] == 0.0
    assert len(read_waveform(path)) == pytest.approx(32_000, abs=1_000)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_header_tells_the_rotation(tmp_path: Path, degrees: int) -> None:
    path = write_video(tmp_path / "video.mp4", seconds=0.2, rotation_degrees=degrees)
    assert probe(path).rotation_degrees == degrees


def test_a_file_may_lack_sound_or_picture(tmp_path: Path) -> None:
    mute = write_video(tmp_path / "mute.mp4", seconds=0.2, sample_rate=None)
    blind = write_wav(tmp_path / "blind.wav")
    assert not probe(mute).has_audio
    assert probe(blind).width is None
    with pytest.raises(MediaError, match=r"mute\.mp4: there is no sound") as no_sound:
        read_waveform(mute)
    with pytest.raises(MediaError, match=r"blind\.wav: there is no video") as no_picture:
        next(keyframes(blind))
    assert (no_sound.value.reason, no_picture.value.reason) == ("no-audio", "no-video")


def test_keyframes_are_pictures_in_rgb(video: Path) -> None:
    seconds, picture = next(keyframes(video))
    assert seconds == 0.0
    assert picture.shape == (240, 320, 3)
    np.testing.assert_allclose(picture[20, 20], [255, 0, 0], atol=12)
    np.testing.assert_allclose(picture[120, 160], [96, 96, 96], atol=12)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_a_waveform_has_its_sounds_in_their_places(video: Path, sample_rate: int) -> None:
    waveform = read_waveform(video, sample_rate)
    assert waveform.dtype == np.float32
    heard = loud(waveform, sample_rate)
    expected = is_clap(np.arange(len(heard)) / 100)
    assert (heard[:200] != expected[:200]).sum() <= 4  # at each edge of the two claps


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_sound_that_starts_late_is_preceded_by_silence(tmp_path: Path, suffix: str) -> None:
    waveform = read_waveform(write_video(tmp_path / f"video{suffix}", audio_starts_at=0.9))
    heard = loud(waveform, 16_000)
    assert not heard[:149].any()
    assert heard[151:174].all()


def test_all_channels_are_heard_in_mono(tmp_path: Path) -> None:
    stereo = read_waveform(write_video(tmp_path / "stereo.mp4"))
    surround = read_waveform(write_video(tmp_path / "surround.mp4", layout="5.1"))
    assert stereo.ndim == surround.ndim == 1
    np.testing.assert_array_equal(loud(stereo, 16_000), loud(surround, 16_000))


@pytest.mark.parametrize(
    "name",
    [
        "-i.mp4",
        "http:video.mp4",
        "concat:a|b.mp4",
        "two words 'and' \"quotes\".mp4",
        "%03d.mp4",
        "\N{SNOWMAN}\n.mp4",
    ],
)
def test_no_name_is_anything_but_a_name(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_bytes(video.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)).width == 320


def test_a_playlist_is_not_followed(video: Path, tmp_path: Path) -> None:
    concat, hls = tmp_path / "concat.mp4", tmp_path / "hls.mp4"
    concat.write_text(f"ffconcat version 1.0\nfile '{video}'\n")
    hls.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{video}\n#EXT-X-ENDLIST\n")
    for path in (concat, hls):
        with pytest.raises(MediaError, match="not a video") as error:
            probe(path)
        assert error.value.reason == "unreadable"


def test_a_file_that_cannot_be_read_says_why(video: Path, tmp_path: Path) -> None:
    late_index = write_video(tmp_path / "late.mp4", faststart=False).read_bytes()
    contents = {
        "empty": b"",
        "unreadable": np.random.default_rng(0).bytes(50_000),
        "unreadable ": late_index[: len(late_index) * 6 // 10],
        "unreadable  ": b"<html>404 Not Found</html>",
    }
    for reason, content in contents.items():
        path = tmp_path / f"broken {reason}.mp4"
        path.write_bytes(content)
        with pytest.raises(MediaError) as error:
            probe(path)
        assert error.value.reason == reason.strip()
        assert str(path) in str(error.value)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in [("none.mp4", "missing"), ("pipe.mp4", "unreadable"), ("", "unreadable")]:
        with pytest.raises(MediaError) as error:
            probe(tmp_path / name)
        assert error.value.reason == reason


def test_titles_in_old_encodings_do_no_harm(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.avi", metadata={"title": "caf#"})
    path.write_bytes(path.read_bytes().replace(b"caf#", b"caf\xe9"))
    assert probe(path).width == 320


def test_ffmpeg_keeps_off_the_terminal(
    video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = bytearray(video.read_bytes())
    damaged[len(damaged) // 2 :: 7] = bytes(len(damaged[len(damaged) // 2 :: 7]))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    list(keyframes(path))
    read_waveform(path)
    assert capfd.readouterr() == ("", "")


def test_an_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(MediaError("empty", "video.mp4: the file is empty")))
    assert (error.reason, str(error)) == ("empty", "video.mp4: the file is empty")


def loud(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.bool_]:
    """Whether there is a tone in each hundredth of a second."""
    step = sample_rate // 100
    steps = waveform[: len(waveform) // step * step].reshape(-1, step)
    is_loud: NDArray[np.bool_] = np.abs(steps).max(axis=1) > 0.1
    return is_loud
