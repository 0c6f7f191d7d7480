"""Downloads from a site on the loopback, and what they leave."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extractors.download import DownloadConfig
from extractors.download_shard import PAUSE_FILE, download_shard
from mcn.data.failure_class import Retry
from mcn.data.ledger import LedgerFile, Outcome, read_ledger
from mcn.progress import Progress
from mcn.root import Root
from mcn.stop import StopRequest
from tests.video_site import Site, serve
from tests.videos import write_video

ODD_IDS = ("-dash", "sp ace 'q\" ;$(id)", "$HOME", "%(title)s", "a&list=b#c?d", ".hidden", "~")


@pytest.fixture(scope="session")
def small_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    return write_video(path, seconds=1.0, width=64, height=48).read_bytes()


@pytest.fixture
def video_site(small_video: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Has videos a, b, c and some of odd ids, all different; nobody else can be asked."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"{address} is asked for"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    videos = {video_id: small_video + video_id.encode() for video_id in ("a", "b", "c", *ODD_IDS)}
    with serve(Site(videos)) as served:
        yield served


@pytest.fixture
def download_root(tmp_path: Path) -> Root:
    """A root with an empty raw folder."""
    root = Root(tmp_path / "root")
    root.raw.mkdir(parents=True)
    return root


def config_for(site: Site, **changes: Any) -> DownloadConfig:
    """In no need of patience."""
    fast = DownloadConfig(
        url=site.url,
        proxy="",
        timeout_seconds=60.0,
        seconds_between_videos=0.0,
        retry_seconds=0.01,
        pause_seconds=0.1,
        max_pause_seconds=600.0,
        max_pauses=2,
    )
    return replace(fast, **changes)


def download(
    root: Root,
    site: Site,
    *video_ids: str,
    shard: int = 0,
    retry: Retry | None = None,
    stop: StopRequest | None = None,
    **changes: Any,
) -> dict[str, Outcome]:
    """Download a shard of these videos; returns what its ledger says."""
    ledger = LedgerFile(root.ledger / "download" / f"{shard:05d}.jsonl")
    with Progress("", total=len(video_ids), unit="videos", is_shown=False) as progress:
        download_shard(
            video_ids,
            root.raw,
            ledger,
            config_for(site, **changes),
            retry=retry,
            progress=progress,
            stop=stop or StopRequest(),
        )
    assert progress.done == len(video_ids)
    return ledger.read()


def pause_file(root: Root) -> Path:
    return root.ledger / "download" / PAUSE_FILE


def files(root: Root) -> dict[str, bytes]:
    """All that is in the raw folder, hidden ones and those below it too."""
    paths = (path for path in root.raw.rglob("*") if path.is_file())
    return {str(path.relative_to(root.raw)): path.read_bytes() for path in paths}


def wait_for_part(root: Root) -> None:
    """Returns when a video is under way."""
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 10_000 for path in root.raw.rglob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command_line(root: Root, site: Site) -> list[str]:
    flags = {
        "root": str(root.path),
        "url": site.url,
        "proxy": "",
        "seconds-between-videos": "0",
        "retry-seconds": "0.01",
        "cluster": "debug",
    }
    return [text for name, value in flags.items() for text in (f"--{name}", value)]


def entered(root: Root) -> dict[str, Outcome]:
    """What the ledger says of all shards."""
    return read_ledger(root.ledger / "download")
