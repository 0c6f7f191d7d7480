"""One pass over each file gives every store the bytes that it would have alone."""

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import av
import pytest

from extractors.corpus import ResizedVideos
from extractors.decode_streams import decode_streams
from extractors.extract import ShardToFill, Wanted, fill_shards
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.sandbox import SandboxLimits
from extractors.streams import MovingPictures, Pictures, Sound, Stream, to_words
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.record import Record
from mcn.store.shard import open_shard
from tests.bad_files import promise_pixels
from tests.media_sources import SECONDS, SOUND, media_sources, resized_videos_in
from tests.opened import OpenedFiles


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> ResizedVideos:
    return resized_videos_in(tmp_path_factory.mktemp("resized"))


@pytest.fixture(scope="module")
def sources(videos: ResizedVideos) -> list[MediaSource]:
    return media_sources(videos)


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


@pytest.mark.parametrize("num_records", [2, 11])
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


def test_a_picture_that_breaks_its_decoder_costs_the_sound_of_the_file_nothing(
    videos: ResizedVideos, tmp_path: Path
) -> None:
    promise_pixels(tmp_path / "pictures.mov", side=8000, num_pictures=3)
    with_sound_of(videos.path("d"), tmp_path / "pictures.mov", tmp_path / "bomb.mp4")
    bomb = ResizedVideos(tmp_path, videos.rule, completeness={"bomb": 1.0}, seconds={"bomb": 2.5})
    pictures, _, sound = media_sources(bomb)
    decoding = Decoding(limits=SandboxLimits(memory_gb=1))

    def records(numbers: tuple[int, ...]) -> list[tuple[int, str, bytes]]:
        made = records_in_one_pass([pictures, sound], [Wanted("bomb", numbers)], decoding)
        return [(number, record.reason, record.features.tobytes()) for number, record in made]

    alone = [*records((0,)), *records((1,))]
    assert [reason for _, reason, _ in alone] == ["out-of-memory", ""]
    assert sorted(records((0, 1))) == alone


def with_sound_of(sound: Path, pictures: Path, path: Path) -> None:
    """The pictures of one file and the sound of another."""
    with (
        av.open(str(pictures)) as seen,
        av.open(str(sound)) as heard,
        av.open(str(path), "w", format="mov") as container,
    ):
        sources = {seen: seen.streams.video[0], heard: heard.streams.audio[0]}
        streams = [container.add_stream_from_template(source) for source in sources.values()]
        for (file, source), stream in zip(sources.items(), streams, strict=True):
            for packet in file.demux(source):
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)
