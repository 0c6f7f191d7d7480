"""Clips read from the middle of resized files are those that the whole files hold."""

import errno
import io
import pickle
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from torch.utils.data import DataLoader, Dataset

from extractors.audio import log_mel
from extractors.corpus import ResizedVideos
from extractors.media import MediaError, open_media, read_waveform
from extractors.raw_clips import RawClips
from extractors.standard_form import AUDIO_BIT_RATE
from extractors.stretch import Stretch
from mcn.data.batches import ClipBatch
from mcn.data.clip_source import Places
from mcn.data.picture_form import PictureForm
from tests.media_sources import resized_videos_in

FPS = 30
FORM = PictureForm(clip_frames=4, picture_height=48, picture_width=64, picture_crop=40)
WHOLE = replace(FORM, picture_width=48, picture_crop=48, shift_seconds=0)
CLIPS = [("a", 0.0, 1.0), ("a", 1.6, 2.6), ("a", 2.4, 3.4), ("b", 0.0, 1.0), ("c", 0.0, 0.3)]
MIDDLE = slice(4, 44), slice(12, 52)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> ResizedVideos:
    return resized_videos_in(tmp_path_factory.mktemp("resized"))


def places(*clips: tuple[str, float, float]) -> Places:
    return Places([clip[0] for clip in clips], np.array([clip[1:] for clip in clips], np.float64))


@pytest.fixture(scope="module")
def clips(videos: ResizedVideos) -> RawClips:
    return RawClips(videos, places(*CLIPS), FORM)


def equal(one: ClipBatch, other: ClipBatch) -> bool:
    return (
        one.video_ids == other.video_ids
        and one.seconds.equal(other.seconds)
        and one.video.equal(other.video)
        and one.audio.equal(other.audio)
        and one.has["video"].equal(other.has["video"])
        and one.unread == other.unread
    )


def all_frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("number", range(len(CLIPS)))
def test_a_clip_is_that_part_of_the_whole_file(clips: RawClips, number: int) -> None:
    video_id, start, end = CLIPS[number]
    path = clips.videos.path(video_id)
    ticks = start + (end - start) * (np.arange(4) + 0.5) / 4
    expected = all_frames(path)[np.floor(ticks * FPS + 1e-6).astype(int)]
    batch = clips.read([number])
    np.testing.assert_array_equal(batch.video[0].numpy(), expected[:, *MIDDLE])
    samples = read_waveform(path)[round(start * 16_000) : round(end * 16_000)]
    mel = log_mel(torch.from_numpy(samples), 16_000, silence="quiet").half()
    assert batch.audio_frames is not None and batch.audio_frames.tolist() == [mel.shape[1]]
    assert batch.audio[0, :, : mel.shape[1]].equal(mel)
    assert (batch.audio[0, :, mel.shape[1] :] == -80).all() and batch.audio.shape[2] == 101
    assert batch.has["video"].all() and batch.has["audio"].all() and not batch.unread


def test_samples_are_those_of_the_whole_file_though_each_needs_some_before_it(
    tmp_path: Path,
) -> None:
    path, hiss = tmp_path / "hiss.mp4", 0.2 * np.random.default_rng(0).standard_normal(48_000)
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16_000)
        assert isinstance(audio, AudioStream)
        audio.layout, audio.bit_rate = "mono", AUDIO_BIT_RATE
        for frame in [AudioFrame.from_ndarray(hiss[None].astype(np.float32), "fltp", "mono"), None]:
            if frame is not None:
                frame.sample_rate = 16_000
            container.mux(audio.encode(frame))
    whole = read_waveform(path)
    for begin, stop in [(0, 5_000), (17_408, 20_000), (30_000, 48_000)]:
        with open_media(path) as opened:
            part = Stretch(opened, Fraction(begin, 16_000), Fraction(stop, 16_000)).sound(16_000)
        np.testing.assert_array_equal(part, whole[begin:stop])


@pytest.mark.parametrize("draw", [None, 3])
def test_a_clip_has_the_same_bits_alone_and_among_others(clips: RawClips, draw: int | None) -> None:
    order = [3, 1, 0, 2, 4, 1]
    together = clips.read(order, draw=draw)
    for place, number in enumerate(order):
        assert equal(together[place : place + 1], clips.read([number], draw=draw))


def test_draw_and_number_decide_what_is_left_to_chance(clips: RawClips) -> None:
    many = RawClips(clips.videos, places(*[("a", 1.2, 2.2)] * 40), FORM)
    first, again, other = (many.read(range(40), draw=draw) for draw in (1, 1, 2))
    assert equal(first, again) and not first.video.equal(other.video)
    starts = first.seconds[:, 0]
    assert 0.7 <= starts.min() < 0.9 and 1.5 < starts.max() <= 1.7
    assert torch.allclose(first.seconds[:, 1] - starts, torch.tensor(1.0, dtype=torch.float64))
    in_place = many.read([0, 1])
    assert in_place.video[0].equal(in_place.video[1])


def test_a_mirrored_part_of_the_picture_is_one(clips: RawClips) -> None:
    pictures = RawClips(clips.videos, places(*[("a", 1.0, 2.0)] * 20), WHOLE)
    straight = pictures.read([0]).video[0]
    drawn = pictures.read(range(20), draw=0).video
    kinds = {one.equal(straight): one.flip(2).equal(straight) for one in drawn}
    assert kinds == {True: False, False: True}


def test_no_clip_begins_before_its_video_or_ends_after_it(videos: ResizedVideos) -> None:
    ends = RawClips(videos, places(*[("a", 0.0, 1.0), ("a", 2.4, 3.4), ("c", 0.0, 0.3)] * 9), FORM)
    seconds = ends.read(range(27), draw=0).seconds
    lengths = torch.tensor([videos.seconds["a"], videos.seconds["a"], videos.seconds["c"]] * 9)
    assert (seconds[:, 0] >= 0).all() and (seconds[:, 1] <= lengths + 1e-6).all()


def test_what_cannot_be_read_is_lacking_and_said(videos: ResizedVideos) -> None:
    wanted = places(("mute", 0.5, 1.5), ("cut", 2.8, 3.8), ("gone", 0, 1), ("a", 1, 2))
    clips = RawClips(replace(videos, seconds=videos.seconds | {"gone": 1.0}), wanted, FORM)
    batch = clips.read(range(4), draw=0)
    assert batch.has["video"].tolist() == [True, False, False, True]
    assert batch.has["audio"].tolist() == [False, False, False, True]
    assert batch.unread.keys() == {"mute", "cut", "gone"}
    assert "there is no such file" in batch.unread["gone"]
    assert not batch.video[1:3].any() and (batch.audio[:3] == -80).all()
    assert batch.video[3].equal(clips.read([3], draw=0).video[0])


def test_damage_raises_nothing(videos: ResizedVideos, tmp_path: Path) -> None:
    sound = (videos.folder / "a.mp4").read_bytes()
    generator = np.random.default_rng(0)
    for k in range(30):
        content = bytearray(sound)
        for place in generator.integers(0, len(content), 10):
            content[place] ^= 0xFF
        (tmp_path / f"{k}.mp4").write_bytes(content)
    damaged = replace(videos, folder=tmp_path, seconds={str(k): 3.4 for k in range(30)})
    batch = RawClips(damaged, places(*[(str(k), 1.0, 3.0) for k in range(30)]), FORM).read(
        range(30)
    )
    assert len(batch.unread) >= 5
    assert batch.audio.isfinite().all() and not batch.video[~batch.has["video"]].any()


def test_sound_without_time_stamps_or_at_another_rate_is_undecodable(
    videos: ResizedVideos,
) -> None:
    with open_media(videos.path("a")) as opened:
        stretch = Stretch(opened, Fraction(0), Fraction(1))
        with pytest.raises(MediaError, match="not mono at 8000 Hz"):
            stretch.sound(8000)
    with open_media(videos.path("a")) as opened:
        stretch = Stretch(opened, Fraction(0), Fraction(1))
        assert stretch.audio is not None
        for packet in stretch._packets[stretch.audio.index]:
            packet.pts = packet.dts = None
        with pytest.raises(MediaError, match="without a time stamp") as raised:
            stretch.sound(16_000)
    assert raised.value.reason == "undecodable"


def test_a_storage_that_fails_ends_reading_and_is_no_damage(
    videos: ResizedVideos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(videos.folder, tmp_path / "mounted")
    mounted = replace(videos, folder=tmp_path / "mounted")
    clips = RawClips(mounted, places(("cut", 2.8, 3.8), ("a", 0, 1)), FORM)
    original: Any = io.open
    failing = {"a.mp4"}

    def fail(path: object, *args: Any, **kwargs: Any) -> Any:
        if Path(str(path)).name in failing:
            raise OSError(errno.EIO, "Input/output error")
        return original(path, *args, **kwargs)

    monkeypatch.setattr(io, "open", fail)
    with pytest.raises(OSError, match=r"storage of .*mounted fails .* carries on when"):
        clips.read(range(2))
    failing = set()
    assert clips.read(range(2)).unread.keys() == {"cut"}
    shutil.rmtree(mounted.folder)
    with pytest.raises(OSError, match="no such folder"):
        clips.read(range(2))


def test_a_clip_of_an_odd_length_fits(videos: ResizedVideos) -> None:
    begin, length = 0.420572, 0.799966  # 12 799.46 samples, and 12 800 between rounded ends
    batch = RawClips(videos, places(("a", begin, begin + length)), FORM).read([0])
    assert batch.audio_frames is not None and batch.audio_frames.item() == batch.audio.shape[2]
    assert not batch.unread


def test_sound_at_another_rate_is_refused(videos: ResizedVideos) -> None:
    with pytest.raises(ValueError, match="8000 samples a second"):
        RawClips(replace(videos, rule={"sample_rate": 8000}), places(("a", 0, 1)), FORM)


class Draws(Dataset[ClipBatch]):
    def __init__(self, clips: RawClips) -> None:
        self.clips = clips

    def __getitem__(self, draw: int) -> ClipBatch:
        return self.clips.read([0, 2, 3], draw=draw)


def test_processes_forked_after_a_file_was_read_read_the_same(clips: RawClips) -> None:
    expected = [clips.read([0, 2, 3], draw=draw) for draw in range(4)]
    loader = DataLoader(
        Draws(pickle.loads(pickle.dumps(clips))),
        sampler=range(4),
        batch_size=None,
        num_workers=2,
        multiprocessing_context="fork",
    )
    assert all(map(equal, loader, expected))
