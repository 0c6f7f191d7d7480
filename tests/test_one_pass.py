"""One pass over each file gives every store the bytes that it would have alone."""

import copy
import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from extractors.audio import AudioExtractor
from extractors.audio_records import AudioRecords
from extractors.clip_records import ClipRecords
from extractors.clips import ClipExtractor, ClipForm, build_clip_network
from extractors.corpus import ResizedVideos
from extractors.decode_streams import decode_streams
from extractors.extract import ShardToFill, Wanted, fill_shards, network_record
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.resize import ResizeConfig, resize_video
from extractors.sandbox import SandboxLimits
from extractors.streams import MovingPictures, Pictures, Sound, Stream, to_words
from extractors.video import VideoExtractor, build_backbone
from extractors.video_records import VideoRecords
from extractors.weights import Weights
from jobs import extract, resize
from mcn.models.davenet import Davenet
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.record import Record
from mcn.store.shard import open_shard
from slurm.launch import Target
from tests.opened import OpenedFiles
from tests.videos import write_video

SECONDS = {"a": 3.4, "b": 1.0, "mute": 2.0, "c": 0.3, "cut": 4.0, "damaged": 4.0, "d": 2.5}
SOUND = ["a", "b", "c", "d"]
NO_WEIGHTS = Weights(Path(), "0" * 64, "")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> ResizedVideos:
    folder = tmp_path_factory.mktemp("resized")
    raw = folder / "raw.mkv"
    for video_id, seconds in SECONDS.items():
        write_video(raw, seconds=seconds, sample_rate=None if video_id == "mute" else 48_000)
        resize_video(raw, folder / f"{video_id}.mp4", ResizeConfig(width=64, height=48))
    raw.unlink()
    cut, damaged = folder / "cut.mp4", folder / "damaged.mp4"
    cut.write_bytes(cut.read_bytes()[:-10_000])
    content = bytearray(damaged.read_bytes())
    for place in np.random.default_rng(0).integers(len(content) // 2, len(content), 40):
        content[place] ^= 0xFF
    damaged.write_bytes(content)
    return ResizedVideos(
        folder, {"sample_rate": 16_000}, completeness=dict.fromkeys(SECONDS, 0.99), seconds=SECONDS
    )


@pytest.fixture(scope="module")
def sources(videos: ResizedVideos) -> list[MediaSource]:
    torch.manual_seed(0)
    of_pictures = VideoExtractor(build_backbone("resnet18"), batch_size=4)
    form = ClipForm(size=(20, 24), crop=(16, 16), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    of_clips = ClipExtractor(build_clip_network("r3d_18"), form, batch_size=2)
    of_sound = AudioExtractor(Davenet(), window_frames=512)
    return [
        VideoRecords(videos, of_pictures, NO_WEIGHTS, name="pictures"),
        ClipRecords(videos, of_clips, NO_WEIGHTS, name="clips"),
        AudioRecords(videos, of_sound, NO_WEIGHTS, name="sound"),
    ]


def shards_in(folder: Path, sources: Sequence[MediaSource]) -> list[ShardToFill]:
    return [
        ShardToFill(
            path=folder / source.fingerprint.extractor / "00000.h5",
            video_ids=list(SECONDS),
            source=source,
        )
        for source in sources
    ]


def fill(
    shards: Sequence[ShardToFill],
    records_of: Callable[..., Iterator[tuple[int, Record]]],
    stop: StopRequest | None = None,
) -> None:
    with Progress("", total=len(SECONDS), unit="videos", is_shown=False) as progress:
        fill_shards(shards, records_of, progress=progress, stop=stop or StopRequest())


def fill_together(
    shards: Sequence[ShardToFill], sources: Sequence[MediaSource], num_decoders: int = 1
) -> None:
    decoding = Decoding(num_decoders=num_decoders)
    fill(shards, partial(records_in_one_pass, sources, decoding=decoding))


@pytest.fixture(scope="module")
def alone(
    sources: list[MediaSource], tmp_path_factory: pytest.TempPathFactory
) -> list[ShardToFill]:
    """The shard of each source, made by itself."""
    shards = shards_in(tmp_path_factory.mktemp("alone"), sources)
    for shard, source in zip(shards, sources, strict=True):
        fill_together([shard], [source])
    return shards


def contents(shards: Sequence[ShardToFill]) -> list[bytes]:
    return [shard.path.read_bytes() for shard in shards]


def reasons_of(shard: ShardToFill) -> dict[str, str]:
    index = open_shard(shard.path).index
    return {
        video_id.decode(): reason.decode()
        for video_id, reason in zip(index["video_id"], index["reason"], strict=True)
    }


def test_the_videos_are_of_all_kinds(alone: list[ShardToFill]) -> None:
    pictures, clips, sound = map(reasons_of, alone)
    assert pictures["mute"] == clips["mute"] == "" and sound["mute"] == "no-audio"
    assert "truncated" in (pictures["cut"], clips["cut"], sound["cut"])
    assert {reasons[k] for reasons in (pictures, clips, sound) for k in SOUND} == {""}


@pytest.mark.parametrize("num_decoders", [1, 3])
def test_one_pass_gives_each_store_the_bytes_that_it_has_alone(
    sources: list[MediaSource], alone: list[ShardToFill], tmp_path: Path, num_decoders: int
) -> None:
    shards = shards_in(tmp_path, sources)
    fill_together(shards, sources, num_decoders)
    assert contents(shards) == contents(alone)


@pytest.mark.parametrize("num_records", [1, 7, 16])
def test_a_pass_that_ends_anywhere_is_carried_on_to_the_same_bytes(
    sources: list[MediaSource], alone: list[ShardToFill], tmp_path: Path, num_records: int
) -> None:
    def ends_early(wanted: Iterable[Wanted]) -> Iterator[tuple[int, Record]]:
        records = records_in_one_pass(sources, wanted, Decoding())
        yield from itertools.islice(records, num_records)
        raise OSError("the disk is gone")

    shards = shards_in(tmp_path, sources)
    with pytest.raises(OSError, match="the disk is gone"):
        fill(shards, ends_early)
    assert not any(shard.path.exists() for shard in shards)
    fill_together(shards, sources)
    assert contents(shards) == contents(alone)


def test_asked_to_stop_it_finishes_what_is_under_way_and_says_what_is_left(
    sources: list[MediaSource], alone: list[ShardToFill], tmp_path: Path
) -> None:
    shards, stop = shards_in(tmp_path, sources), StopRequest()

    def asked_early(wanted: Iterable[Wanted]) -> Iterator[tuple[int, Record]]:
        for number, record in records_in_one_pass(sources, wanted, Decoding()):
            stop.is_set = True
            yield number, record

    with pytest.raises(StoppedEarlyError, match=r"[1-6] videos of .*pictures.*videos of .*sound"):
        fill(shards, asked_early, stop)
    fill_together(shards, sources)
    assert contents(shards) == contents(alone)


def test_the_file_of_a_video_is_opened_once_for_all_its_features(
    sources: list[MediaSource], videos: ResizedVideos, tmp_path: Path
) -> None:
    def times_opened(chosen: list[MediaSource]) -> dict[str, int]:
        with OpenedFiles(videos.folder) as opened:
            decoding, wanted = Decoding(), Wanted("a", tuple(range(len(chosen))))
            list(records_in_one_pass(chosen, [wanted], decoding))
            return opened.counts()

    assert times_opened(sources) == times_opened(sources[:1])


def test_bytes_of_a_file_are_read_once_for_all_its_features(videos: ResizedVideos) -> None:
    path = videos.path("a")
    everything: list[Stream] = [Pictures(), MovingPictures(24, (20, 24), (16, 16)), Sound(16_000)]

    def num_bytes_read(streams: list[Stream]) -> int:
        before = read_so_far()
        list(decode_streams(path, streams=[to_words(stream) for stream in streams]))
        return read_so_far() - before

    num_bytes_read(everything)  # which may import something
    assert num_bytes_read(everything) < 1.1 * num_bytes_read(everything[:1]) + 4096


def read_so_far() -> int:
    """Bytes that this process has read of files, cached or not."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


def test_a_video_that_one_store_lacks_is_decoded_for_that_one(
    sources: list[MediaSource], alone: list[ShardToFill], tmp_path: Path
) -> None:
    shards = shards_in(tmp_path, sources)
    for shard, made in zip(shards[:2], alone[:2], strict=True):
        shard.path.parent.mkdir()
        shutil.copy(made.path, shard.path)
    asked: list[Wanted] = []

    def watched(wanted: Iterable[Wanted]) -> Iterator[tuple[int, Record]]:
        asked.extend(wanted)
        return records_in_one_pass(sources, asked, Decoding())

    fill(shards, watched)
    assert asked == [Wanted(video_id, (2,)) for video_id in SECONDS]
    assert contents(shards) == contents(alone)


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
        modalities=("video", "audio"),
        backbone="resnet18",
        weights="random:0",
        backbone_3d="r3d_18",
        weights_3d="random:0",
        audio_weights="random:0",
        min_complete=0.9,
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


@pytest.mark.parametrize("name, value", [("min_complete", 1.1), ("decoders", 0)])
def test_settings_that_mean_nothing_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} {value}"):
        extract.Arguments(**{name: value})  # type: ignore[arg-type]
