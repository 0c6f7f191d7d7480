"""What decides whether a video has features, and the command that makes them all."""

import copy
import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from extractors.audio_records import AudioRecords
from extractors.corpus import ResizedVideos
from extractors.extract import Wanted
from extractors.extract_config import ExtractConfig
from extractors.network_record import network_record
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.resize import ResizeConfig, resize_video
from extractors.sandbox import SandboxLimits
from jobs import extract, resize
from mcn.store.layout import NOT_COUNTED
from mcn.store.shard import open_shard
from slurm.launch import Target
from tests.media_sources import NO_WEIGHTS, media_sources, resized_videos_in
from tests.videos import write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> ResizedVideos:
    return resized_videos_in(tmp_path_factory.mktemp("resized"))


@pytest.fixture(scope="module")
def sources(videos: ResizedVideos) -> list[MediaSource]:
    return media_sources(videos)


def test_how_much_must_be_there_decides_and_is_part_of_the_fingerprint(
    videos: ResizedVideos, sources: list[MediaSource]
) -> None:
    some = videos.completeness | {"a": 0.9, "cut": 1.0}
    of_sound = sources[2]
    assert isinstance(of_sound, AudioRecords)
    records = {}
    for min_complete in (0.1, 0.95):
        source = AudioRecords(
            dataclasses.replace(videos, completeness=some),
            of_sound.extractor,
            NO_WEIGHTS,
            name="sound",
            min_complete=min_complete,
        )
        assert source.fingerprint.recipe["min_complete"] == min_complete
        for record in source.records(["a", "cut", "d"]):
            records[record.video_id, min_complete] = record
    assert {key: record.reason for key, record in records.items()} == {
        ("a", 0.1): "",
        ("a", 0.95): "truncated",  # of its raw file
        ("cut", 0.1): "",
        ("cut", 0.95): "truncated",  # since it was resized
        ("d", 0.1): "",
        ("d", 0.95): "",
    }
    assert records["a", 0.1].completeness == 0.9
    assert 0.1 <= records["cut", 0.1].completeness < 0.95
    assert records["d", 0.95].completeness == 0.99


def test_the_errors_of_the_raw_file_and_of_the_resized_one_are_kept_with_the_features(
    tmp_path: Path, videos: ResizedVideos, sources: list[MediaSource]
) -> None:
    for video_id in ("a", "cut", "d"):
        (tmp_path / f"{video_id}.mp4").write_bytes(videos.path(video_id).read_bytes())
    content = bytearray((tmp_path / "d.mp4").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 500] = bytes(500)
    (tmp_path / "d.mp4").write_bytes(content)
    counted = dataclasses.replace(videos, folder=tmp_path, num_errors={"a": 7, "d": 7})
    source = copy.copy(sources[2])
    source.videos, source.min_complete = counted, 0.0
    num_errors = {
        record.video_id: record.num_errors for record in source.records(["a", "cut", "d"])
    }
    assert num_errors["a"] == 7
    assert num_errors["cut"] == NOT_COUNTED  # as in a ledger that does not say
    assert num_errors["d"] > 7


def test_rows_of_a_dead_network_are_failed_and_those_of_a_still_picture_are_not(
    sources: list[MediaSource],
) -> None:
    fingerprint = sources[0].fingerprint
    still = torch.randn(512).expand(7, 512)
    assert network_record("v", still, 1.0, fingerprint).status == "done"
    for value in (0.0, 3.0):
        dead = torch.cat([still, torch.full((1, 512), value)])
        record = network_record("v", dead, 1.0, fingerprint)
        assert (record.reason, len(record.features)) == ("zero-variance", 0)
    too_close = torch.full((1, 512), 1.0) + 1e-5 * torch.randn(512)  # for float16
    assert network_record("v", too_close, 1.0, fingerprint).reason == "zero-variance"


def test_a_black_and_silent_video_has_its_features(
    sources: list[MediaSource], videos: ResizedVideos, tmp_path: Path
) -> None:
    write_black(tmp_path / "raw.mkv")
    resize_video(tmp_path / "raw.mkv", tmp_path / "black.mp4", ResizeConfig(width=64, height=48))
    black = dataclasses.replace(
        videos, folder=tmp_path, completeness={"black": 1.0}, seconds={"black": 2.0}
    )
    for source in sources:
        here = copy.copy(source)
        here.videos = black
        ((_, record),) = records_in_one_pass([here], [Wanted("black", (0,))], Decoding())
        assert record.reason == ""


def write_black(path: Path) -> None:
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=25), container.add_stream("flac", 48000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio.layout = "mono"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 96_000), np.int16), "s16", "mono")
        silence.sample_rate, silence.pts = 48_000, 0
        container.mux(audio.encode(silence))
        for stream in (video, audio):
            container.mux(stream.encode(None))


@pytest.mark.slow
def test_the_command_makes_every_store_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for video_id, seconds in {"a": 1.2, "b": 0.4}.items():
        write_video(tmp_path / "raw" / f"{video_id}.mp4", seconds=seconds)
    here = Target(cluster="debug")
    resize.main(resize.Arguments(root=tmp_path, target=here, sandbox=SandboxLimits(memory_gb=2)))
    arguments = extract.Arguments(
        root=tmp_path,
        extract=ExtractConfig(
            modalities=("video", "audio"),
            backbone="resnet18",
            weights="random:0",
            backbone_3d="r3d_18",
            weights_3d="random:0",
            audio_weights="random:0",
            min_complete=0.9,
        ),
        decoders=2,
        sandbox=SandboxLimits(memory_gb=2, files_per_child=1),
        target=here,
    )
    extract.main(arguments)
    rates = {}
    for folder in (tmp_path / "store").glob("*-*"):
        shard = open_shard(folder / "00000.h5")
        fingerprint = shard.fingerprint()
        assert fingerprint.recipe["min_complete"] == 0.9
        rates[folder.name] = fingerprint.rows_per_second, shard.index["num_rows"].tolist()
    assert rates == {
        "video-resnet18": (1.0, [2, 1]),
        "video-r3d_18": (1.5, [2, 1]),
        "audio-davenet": (6.25, [8, 3]),
    }


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"min_complete 1\.1"):
        ExtractConfig(min_complete=1.1)
    with pytest.raises(ValueError, match="decoders 0"):
        extract.Arguments(decoders=0)
