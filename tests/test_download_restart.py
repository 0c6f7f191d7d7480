import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from extractors.corpus import raw_videos
from extractors.download_shard import _digest
from mcn.data.manifest import Video, write_manifest
from mcn.root import Root
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.layout import lease_folder
from mcn.store.lease import ShardBusyError, acquire
from tests.downloads import (
    command_line,
    download,
    entered,
    files,
    wait_for_part,
)
from tests.shards import RENEWED, elsewhere
from tests.video_site import Site

REPOSITORY = Path(__file__).resolve().parent.parent


def test_the_next_try_carries_on_where_a_body_was_cut_off(
    download_root: Root, video_site: Site
) -> None:
    video_site.faults["a"] = [None, "cut"]
    download(download_root, video_site, "a")
    half = len(video_site.videos["a"]) // 2
    assert video_site.asked[-1] == ("a", f"bytes={half}-")
    assert files(download_root) == {"a.mp4": video_site.videos["a"]}


def test_a_task_that_is_stopped_leaves_a_part_and_the_next_carries_on(
    download_root: Root, video_site: Site
) -> None:
    video_site.videos["a"] = bytes(range(250)) * 1000
    stop = StopRequest()

    def ask_to_stop() -> None:
        wait_for_part(download_root)
        stop.is_set = True

    thread = threading.Thread(target=ask_to_stop)
    thread.start()
    with pytest.raises(StoppedEarlyError, match="2 videos are left"):
        download(download_root, video_site, "a", "b", stop=stop, megabytes_per_second=0.1)
    thread.join()
    ((part, content),) = files(download_root).items()
    assert part.endswith(".part") and video_site.videos["a"].startswith(content)
    assert entered(download_root) == {}
    video_site.asked.clear()
    download(download_root, video_site, "a", "b")
    assert video_site.asked[1] == ("a", f"bytes={len(content)}-")
    assert files(download_root) == {
        f"{video_id}.mp4": video_site.videos[video_id] for video_id in "ab"
    }


@pytest.mark.parametrize("has_ended", [True, False])
def test_parts_are_carried_on_with_only_if_nobody_can_be_adding_to_them(
    download_root: Root, video_site: Site, monkeypatch: pytest.MonkeyPatch, has_ended: bool
) -> None:
    monkeypatch.setenv("MCN_LEASE_OWNER", "job")
    lease = acquire(
        lease_folder(download_root.ledger / "download" / "00000.jsonl"), elsewhere("job")
    )
    lease.release() if has_ended else lease._stop()  # of which nobody hears
    part = download_root.raw / ".00000" / f"{lease.token}" / _digest("a") / "mp4.mp4.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(video_site.videos["a"][:1000])
    download(download_root, video_site, "a")
    assert video_site.asked == [("a", ""), ("a", "bytes=1000-" if has_ended else "")]
    assert files(download_root) == {"a.mp4": video_site.videos["a"]}


def test_a_second_process_is_refused_the_shard(download_root: Root, video_site: Site) -> None:
    lease = lease_folder(download_root.ledger / "download" / "00000.jsonl")
    with (
        acquire(lease, elsewhere(), lease_seconds=RENEWED),
        pytest.raises(ShardBusyError, match="node7"),
    ):
        download(download_root, video_site, "a")
    assert video_site.asked == []


@pytest.mark.slow
def test_a_killed_download_carries_on_with_its_part(download_root: Root, video_site: Site) -> None:
    write_manifest(download_root.manifest, [Video("a"), Video("b")])
    video_site.videos["b"] = bytes(range(250)) * 1200
    line = [sys.executable, "jobs/download.py", *command_line(download_root, video_site)]
    slowly = [*line, "--megabytes-per-second", "0.1"]
    process = subprocess.Popen(slowly, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    wait_for_part(download_root)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert set(entered(download_root)) == {"a"}
    assert set(raw_videos(download_root)) == {"a"}
    video_site.asked.clear()
    subprocess.run(line, cwd=REPOSITORY, check=True, capture_output=True)
    assert video_site.asked_for() == ["b"] and video_site.asked[1][1].startswith("bytes=")
    assert files(download_root) == {
        f"{video_id}.mp4": video_site.videos[video_id] for video_id in "ab"
    }
