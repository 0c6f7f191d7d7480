"""What cannot be read at the moment is no damage: it costs one video, and that one not for good."""

import errno
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from extractors.decode_streams import decode_streams
from extractors.loads import raw_sizes
from extractors.media import MediaError, open_media
from extractors.resize import ResizeConfig, resize_video
from extractors.streams import MovingPictures, Pictures, Sound, to_words
from extractors.track import Track, packets
from mcn.data.failure_class import class_of
from mcn.data.ledger import LedgerFile, Outcome
from mcn.data.manifest import from_folder
from tests.bad_files import plain, with_a_late_stream
from tests.test_resize_shard import resize

FORM = ResizeConfig(width=96, height=72, fps=10, preset="ultrafast")
STREAMS = [to_words(s) for s in (Pictures(), MovingPictures(24, (32, 32), (32, 32)), Sound(16_000))]


class Failing(io.BytesIO):
    """A file that can be read up to a place; whether it ends there or fails there."""

    def __init__(self, path: Path, content: bytes, place: int, *, ends: bool) -> None:
        super().__init__(content[:place] if ends else content)
        self.name = f"file:{path}"
        self.place = len(content) + 1 if ends else place

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= self.place:
            raise OSError(errno.EIO, "Input/output error", self.name)
        left = self.place - self.tell()
        return super().read(left if size is None or size < 0 else min(size, left))


def fail_from(
    patch: pytest.MonkeyPatch, path: Path, share: float, *, ffmpeg_sees_the_end: bool
) -> None:
    """Reads of the file fail from there on; to FFmpeg, it may rather seem to end there."""
    content = path.read_bytes()
    place = round(len(content) * share)
    of_ffmpeg, of_python = av.open, io.open

    def opened(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file) == f"file:{path}":
            file = Failing(path, content, place, ends=ffmpeg_sees_the_end)
        return of_ffmpeg(file, *arguments, **options)

    def opened_plainly(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file) == str(path):
            return Failing(path, content, place, ends=False)
        return of_python(file, *arguments, **options)

    patch.setattr(av, "open", opened)
    patch.setattr(io, "open", opened_plainly)


def outcomes(root: Path) -> dict[str, Outcome]:
    return LedgerFile(root / "ledger" / "00000.jsonl").read()


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("ffmpeg_sees_the_end", [False, True])
@pytest.mark.parametrize("min_complete", [0.95, 0.2])
def test_a_read_that_fails_in_the_middle_is_neither_damage_nor_a_video_that_is_done(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    ffmpeg_sees_the_end: bool,
    min_complete: float,
) -> None:
    source = plain(tmp_path / f"source{suffix}")
    fail_from(monkeypatch, source, 0.8, ffmpeg_sees_the_end=ffmpeg_sees_the_end)
    config = ResizeConfig(
        width=96, height=72, fps=10, preset="ultrafast", min_complete=min_complete
    )
    with pytest.raises(MediaError, match="Input/output error") as caught:
        resize_video(source, tmp_path / "resized.mp4", config)
    assert caught.value.reason == "unreadable-now"
    assert class_of("unreadable-now") == "transient"
    assert not (tmp_path / "resized.mp4").exists()


@pytest.mark.parametrize("ffmpeg_sees_the_end", [False, True])
@pytest.mark.parametrize("stream", STREAMS)
def test_a_resized_file_that_cannot_be_read_to_its_end_has_no_features_for_now(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ffmpeg_sees_the_end: bool,
    stream: dict[str, Any],
) -> None:
    resized = tmp_path / "resized.mp4"
    resize_video(plain(tmp_path / "source.mp4"), resized, FORM)
    fail_from(monkeypatch, resized, 0.5, ffmpeg_sees_the_end=ffmpeg_sees_the_end)
    with pytest.raises(MediaError, match="Input/output error") as caught:
        list(decode_streams(resized, streams=[stream]))
    assert caught.value.reason == "unreadable-now"


def test_an_error_in_writing_is_not_taken_for_one_of_the_source(tmp_path: Path) -> None:
    source = plain(tmp_path / "source.mp4")
    with pytest.raises(OSError, match="No such file") as caught:
        resize_video(source, tmp_path / "nowhere" / "resized.mp4", FORM)
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(OSError, match="another"), open_media(source):
        raise OSError(errno.EIO, "another", str(tmp_path / "other"))


def test_where_the_folder_cannot_be_read_either_no_file_is_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plain(tmp_path / "source.mp4")
    fail_from(monkeypatch, source, 0.0, ffmpeg_sees_the_end=False)
    with pytest.raises(MediaError, match="Input/output error"), open_media(source):
        pass

    def fail(path: Any) -> Any:
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    monkeypatch.setattr("os.scandir", fail)
    with pytest.raises(OSError, match="Stale file handle"), open_media(source):
        pass


def test_one_file_that_cannot_be_read_costs_itself_in_a_shard_and_is_tried_on_request(
    tmp_path: Path,
) -> None:
    (tmp_path / "raw").mkdir()
    sources = {name: tmp_path / "raw" / f"{name}.mp4" for name in ("a", "b", "loop", "sector")}
    for video_id in ("a", "b"):
        plain(sources[video_id])
    sources["loop"].symlink_to("loop.mp4")
    sources["sector"].symlink_to("/proc/self/mem")
    assert {v.video_id for v in from_folder(tmp_path / "raw")} == sources.keys()
    assert raw_sizes(sources).keys() == sources.keys()
    resize(tmp_path / "root", sources)
    entered = outcomes(tmp_path / "root")
    assert {k: outcome.reason for k, outcome in entered.items()} == {
        "a": "",
        "b": "",
        "loop": "missing",
        "sector": "unreadable-now",
    }
    sources["sector"].unlink()
    plain(sources["sector"])
    resize(tmp_path / "root", sources)
    assert outcomes(tmp_path / "root")["sector"].status == "failed"
    resize(tmp_path / "root", sources, retry="transient")
    assert outcomes(tmp_path / "root")["sector"].status == "done"


def test_a_stream_that_turns_up_late_costs_nothing(tmp_path: Path) -> None:
    with_a_late_stream(tmp_path / "late.flv")
    resized = resize_video(tmp_path / "late.flv", tmp_path / "resized.mp4", FORM)
    assert (resized.num_errors, resized.completeness) == (0, 1.0)


def test_too_little_memory_is_not_counted_as_damage(tmp_path: Path) -> None:
    class Starving:
        __class__ = VideoCodecContext  # type: ignore[assignment]
        thread_count = 1

        def decode(self, packet: object) -> None:
            raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")

    with open_media(plain(tmp_path / "source.mp4")) as container:
        (video,) = container.streams.video
        track = Track(video, Fraction(0), Starving())  # type: ignore[arg-type]
        with pytest.raises(MemoryError):
            list(track.decode(next(packets(container, video))))
