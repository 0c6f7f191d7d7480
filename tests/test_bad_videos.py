"""Bad files through the real steps: each costs itself, and those beside it nothing."""

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.packet import Packet

from extractors.audio import AudioExtractor
from extractors.audio_records import AudioRecords
from extractors.corpus import ResizedVideos
from extractors.extract import Wanted
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.resize import ResizeConfig, resize_video
from extractors.resize_shard import resize_shard
from extractors.sandbox import SandboxLimits
from extractors.video import VideoExtractor, build_backbone
from extractors.video_records import VideoRecords
from extractors.weights import Weights
from mcn.data.ledger import LedgerFile
from mcn.models.davenet import Davenet
from mcn.progress import Progress
from mcn.stop import StopRequest
from tests.videos import write_video

LIMITS = SandboxLimits(seconds=30, memory_gb=2)
SECONDS = 4.0

Spoil = Callable[[Path, Path], object]
"""Makes a file at the second path, of the sound one at the first."""


def cut(sound: Path, path: Path) -> None:
    path.write_bytes(sound.read_bytes()[: sound.stat().st_size * 6 // 10])


def damage(sound: Path, path: Path, seed: int) -> None:
    content = bytearray(sound.read_bytes())
    generator = np.random.default_rng(seed)
    for place in generator.integers(0, len(content), len(content) // 200):
        content[place] = generator.integers(256)
    path.write_bytes(content)


def name_another(sound: Path, path: Path, form: str) -> None:
    path.write_text(form.format(file=sound.absolute()))


def promise_pixels(sound: Path, path: Path, *, side: int, num_pictures: int) -> None:
    """Black-and-white PNGs a second apart: a thousandth, or less, of what they decode to."""
    header = struct.pack("!IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side * (1 + side // 8)))
    picture = b"\x89PNG\r\n\x1a\n"
    for kind, content in [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]:
        checksum = struct.pack("!I", zlib.crc32(kind + content))
        picture += struct.pack("!I", len(content)) + kind + content + checksum
    with av.open(f"file:{path}", "w", format="mov") as container:
        stream = container.add_mux_stream("png", rate=Fraction(1), width=side, height=side)
        for second in range(num_pictures):
            packet = Packet(picture)
            packet.stream, packet.is_keyframe = stream, True
            packet.pts = packet.dts = second
            packet.time_base = Fraction(1)
            container.mux(packet)
    assert path.stat().st_size < 5_000_000


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{file}\n#EXT-X-ENDLIST\n"


@dataclass(frozen=True)
class Bad:
    """A bad file, and the reasons it may fail for; the empty one where it may be of use."""

    spoil: Spoil
    resize: set[str]
    video: set[str]
    audio: set[str]


BAD = {
    "empty": Bad(lambda _, path: path.touch(), {"empty"}, {"empty"}, {"empty"}),
    "missing": Bad(lambda _, path: None, {"missing"}, {"missing"}, {"missing"}),
    "cut off": Bad(cut, {"truncated"}, {"truncated"}, {"truncated"}),
    "damaged": Bad(
        partial(damage, seed=1),
        {"", "truncated", "unreadable", "undecodable"},
        {"", "truncated", "unreadable", "undecodable", "keyframes"},
        {"", "truncated", "unreadable", "no-audio"},
    ),
    "a pipe": Bad(lambda _, path: os.mkfifo(path), {"unreadable"}, {"unreadable"}, {"unreadable"}),
    # A raw video may lie anywhere; resizing makes files, so that a link is none of its own.
    "a link": Bad(lambda sound, path: path.symlink_to(sound), {""}, {"link"}, {"link"}),
    "concat": Bad(
        partial(name_another, form="ffconcat version 1.0\nfile '{file}'\n"),
        {"unreadable"},
        {"unreadable"},
        {"unreadable"},
    ),
    "m3u8": Bad(
        partial(name_another, form=PLAYLIST), {"unreadable"}, {"unreadable"}, {"unreadable"}
    ),
    "m3u8 of a URL": Bad(
        partial(name_another, form=PLAYLIST.format(file="http://127.0.0.1:9/x.ts")),
        {"unreadable"},
        {"unreadable"},
        {"unreadable"},
    ),
    "16384 x 16384": Bad(  # which FFmpeg does not decode either
        partial(promise_pixels, side=16384, num_pictures=1),
        {"undecodable"},
        {"undecodable"},
        {"no-audio"},
    ),
    "16000 x 16000": Bad(
        partial(promise_pixels, side=16000, num_pictures=1),
        {"too-large"},
        {"too-large"},
        {"no-audio"},
    ),
    "8000 x 8000": Bad(
        partial(promise_pixels, side=8000, num_pictures=12),
        {""},
        {"out-of-memory"},
        {"no-audio"},
    ),
}
NAMES = [name for bad in BAD for name in (bad, f"after {bad}")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each bad file, and a sound one to come after it."""
    folder = tmp_path_factory.mktemp("bad")
    source = write_video(tmp_path_factory.mktemp("raw") / "source.mp4", seconds=SECONDS)
    sound = tmp_path_factory.mktemp("sound") / "sound.mp4"
    resize_video(source, sound, ResizeConfig(width=128, height=96))
    for name, bad in BAD.items():
        bad.spoil(sound, folder / f"{name}.mp4")
        shutil.copy(sound, folder / f"after {name}.mp4")
    give_sound(folder / "8000 x 8000.mp4", sound, folder / "bomb with sound.mp4")
    return folder


def give_sound(pictures: Path, sound: Path, path: Path) -> None:
    """The pictures of one file and the sound of another."""
    with (
        av.open(str(pictures)) as video,
        av.open(str(sound)) as audio,
        av.open(str(path), "w", format="mov") as container,
    ):
        sources = {video: video.streams.video[0], audio: audio.streams.audio[0]}
        streams = [container.add_stream_from_template(source) for source in sources.values()]
        for (file, source), stream in zip(sources.items(), streams, strict=True):
            for packet in file.demux(source):
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)


@pytest.fixture
def videos(folder: Path) -> ResizedVideos:
    return ResizedVideos(
        folder,
        {"sample_rate": 16_000},
        completeness=dict.fromkeys([*NAMES, "bomb with sound"], 1.0),
        seconds=dict.fromkeys([*NAMES, "bomb with sound"], SECONDS),
    )


def of_video(videos: ResizedVideos) -> VideoRecords:
    torch.manual_seed(0)
    extractor = VideoExtractor(build_backbone("resnet18"), batch_size=8)
    return VideoRecords(videos, extractor, Weights(Path(), "0" * 64, ""), name="v", limits=LIMITS)


def of_audio(videos: ResizedVideos) -> AudioRecords:
    torch.manual_seed(0)
    extractor = AudioExtractor(Davenet(), window_frames=512)
    return AudioRecords(videos, extractor, Weights(Path(), "0" * 64, ""), name="a", limits=LIMITS)


@pytest.mark.parametrize("make, step", [(of_video, "video"), (of_audio, "audio")])
def test_each_bad_video_has_its_reason_and_the_one_after_it_has_its_rows(
    videos: ResizedVideos, make: Callable[[ResizedVideos], MediaSource], step: str
) -> None:
    wanted = [Wanted(name, (0,)) for name in NAMES]
    decoding = Decoding(limits=LIMITS)
    records = [record for _, record in records_in_one_pass([make(videos)], wanted, decoding)]
    assert [record.video_id for record in records] == NAMES
    assert unexpected({record.video_id: record.reason for record in records}, step) == {}
    after = [record.features for record in records if record.video_id.startswith("after")]
    assert {features.tobytes() for features in after} == {after[0].tobytes()} != {b""}


def test_a_picture_that_breaks_its_decoder_costs_the_sound_of_the_file_nothing(
    videos: ResizedVideos,
) -> None:
    names = ["bomb with sound", "damaged"]
    sources: list[MediaSource] = [of_video(videos), of_audio(videos)]
    decoding = Decoding(limits=LIMITS)

    def records(numbers: tuple[int, ...]) -> list[tuple[int, str, str, bytes]]:
        wanted = [Wanted(name, numbers) for name in names]
        return [
            (number, record.video_id, record.reason, record.features.tobytes())
            for number, record in records_in_one_pass(sources, wanted, decoding)
        ]

    alone = [*records((0,)), *records((1,))]
    assert sorted(records((0, 1))) == sorted(alone)
    assert {(name, reason) for _, name, reason, _ in alone if name == names[0]} == {
        (names[0], "out-of-memory"),
        (names[0], ""),
    }


def test_each_bad_raw_video_has_its_reason_and_the_one_after_it_is_resized(
    folder: Path, tmp_path: Path
) -> None:
    ledger = LedgerFile(tmp_path / "ledger" / "00000.jsonl")
    with Progress("", total=len(NAMES), unit="videos", is_shown=False) as progress:
        resize_shard(
            {name: folder / f"{name}.mp4" for name in NAMES},
            tmp_path / "resized",
            ledger,
            ResizeConfig(width=128, height=96, preset="ultrafast"),
            num_threads=2,
            progress=progress,
            stop=StopRequest(),
        )
    reasons = {video_id: outcome.reason for video_id, outcome in ledger.read().items()}
    assert sorted(reasons) == sorted(NAMES)
    assert unexpected(reasons, "resize") == {}
    made = {path.name for path in (tmp_path / "resized").iterdir()}
    assert made == {f"{name}.mp4" for name, reason in reasons.items() if not reason}


def unexpected(reasons: dict[str, str], step: str) -> dict[str, str]:
    """What a video may not fail for."""
    may: dict[str, set[str]] = {name: getattr(bad, step) for name, bad in BAD.items()}
    return {k: v for k, v in reasons.items() if v not in may.get(k, {""})}
