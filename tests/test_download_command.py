from pathlib import Path
from typing import Any

import pytest
import tyro

from extractors.corpus import listed_videos, raw_videos
from extractors.download import DownloadConfig
from jobs import download as command
from mcn.data.ledger import LedgerFile, Outcome
from mcn.data.manifest import Video, read_manifest, write_manifest
from mcn.root import Root
from tests.downloads import (
    command_line,
    download,
)
from tests.video_site import Site


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"url": "https://example.com/"}, r"must contain \{video_id\}"),
        ({"format": "b["}, "format is 'b\\['"),
        ({"tries": 0}, "tries is 0"),
    ],
)
def test_a_mistake_in_the_options_is_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        DownloadConfig(**changes)


def test_merging_without_ffmpeg_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="FFmpeg must be on the PATH"):
        DownloadConfig(format="bv+ba")


def test_cookies_are_sent_and_their_file_is_left_alone(
    download_root: Root, video_site: Site
) -> None:
    jar = download_root.path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n")
    before = jar.read_bytes()
    download(download_root, video_site, "a", cookies=jar)
    assert video_site.cookies == {"name=value"} and jar.read_bytes() == before
    jar.write_text('[{"name": "value"}]')
    with pytest.raises(ValueError, match=r"no file in Netscape's format: .*cookies\.txt"):
        DownloadConfig(cookies=jar)


def test_videos_that_are_listed_stay_listed_before_they_come(download_root: Root) -> None:
    (download_root.raw / "b.mp4").touch()
    (download_root.raw / "new.mp4").touch()
    write_manifest(download_root.manifest, [Video("c", "", "Food"), Video("b")])
    listed = [Video("c", "", "Food"), Video("b", "raw/b.mp4"), Video("new", "raw/new.mp4")]
    assert list(listed_videos(download_root)) == listed
    assert list(read_manifest(download_root.manifest)) == listed
    assert set(raw_videos(download_root)) == {"b", "new"}


def test_a_task_that_looks_for_its_files_leaves_the_manifest_to_who_edits_it(
    download_root: Root,
) -> None:
    write_manifest(download_root.manifest, [Video("c", "", "Food")])
    edited = download_root.manifest.read_bytes()
    (download_root.raw / "new.mp4").touch()
    assert raw_videos(download_root) == {"new": download_root.raw / "new.mp4"}
    assert download_root.manifest.read_bytes() == edited


def test_the_command_downloads_the_manifest_and_says_what_came_of_it(
    download_root: Root,
    video_site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_manifest(download_root.manifest, [Video("a"), Video("gone"), Video("b")])
    video_site.always["b"] = 500

    def run(*more: str) -> str:
        parsed = tyro.cli(command.Arguments, args=[*command_line(download_root, video_site), *more])
        command.main(parsed)
        return capsys.readouterr().out

    assert "1 videos, 2 failed\n  1 transient: http_500\n  1 permanent: gone\n" in run()
    video_site.asked.clear()
    assert "nothing left to download in 1 shards" in run()
    assert video_site.asked == []
    video_site.always.clear()
    assert "2 videos, 1 failed\n  1 permanent: gone\n" in run("--retry", "transient")
    assert video_site.asked_for() == ["b"]
    assert set(raw_videos(download_root)) == {"a", "b"}


def test_without_a_list_the_command_says_where_to_put_one(
    download_root: Root, video_site: Site
) -> None:
    parsed = tyro.cli(command.Arguments, args=command_line(download_root, video_site))
    with pytest.raises(ValueError, match=r"lists no videos: put HowTo100M_v1\.csv there"):
        command.main(parsed)


def test_videos_that_are_resized_are_not_downloaded_though_their_raw_files_are_gone(
    download_root: Root, video_site: Site
) -> None:
    write_manifest(download_root.manifest, [Video("a"), Video("b")])
    resized = LedgerFile(download_root.ledger / "resize" / "00000.jsonl")
    resized.append(Outcome(video_id="a", status="done", is_source_deleted=True))
    parsed = tyro.cli(command.Arguments, args=command_line(download_root, video_site))
    command.main(parsed)
    assert [path.name for path in download_root.raw.glob("*.*") if path.is_file()] == ["b.mp4"]
    resized.append(Outcome(video_id="b", status="done", is_source_deleted=True))
    (download_root.raw / "b.mp4").unlink()
    (download_root.ledger / "download" / "00000.jsonl").unlink()
    command.main(parsed)
    assert not (download_root.raw / "b.mp4").exists()
