import re
import threading
import time

import pytest

from extractors.download_pause import Notice, StillBlockedError
from mcn.root import Root
from tests.downloads import (
    download,
    entered,
    pause_file,
)
from tests.video_site import Site


def test_a_block_pauses_and_then_all_videos_come(
    download_root: Root, video_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    video_site.faults["a"] = [429]
    video_site.retry_after = "2"
    began = time.monotonic()
    outcomes = download(download_root, video_site, "a", "b")
    assert time.monotonic() - began > 2
    assert [outcomes[video_id].status for video_id in "ab"] == ["done", "done"]
    assert [video_id for video_id, _ in video_site.asked] == ["a", "b", "b", "a", "a"]
    said = capsys.readouterr().err
    assert re.search(r"pause\.json: waiting [12] s: blocked by the site \(.*HTTP Error 429", said)
    assert not pause_file(download_root).exists()


def test_a_site_that_goes_on_blocking_ends_the_task_and_burns_no_video(
    download_root: Root, video_site: Site
) -> None:
    video_site.always |= dict.fromkeys("abc", 429)
    with pytest.raises(StillBlockedError, match="still blocked after 2 pauses"):
        download(download_root, video_site, "a", "b", "c")
    assert len(video_site.asked) == 3  # once before each pause, and once after the last
    assert entered(download_root) == {}
    video_site.always.clear()
    pause_file(download_root).unlink()
    assert len(download(download_root, video_site, "a", "b", "c")) == 3


def test_a_single_video_that_always_blocks_is_given_up_after_the_others(
    download_root: Root, video_site: Site
) -> None:
    video_site.always["a"] = 429
    outcomes = download(download_root, video_site, "a", "b", "c")
    assert (outcomes["a"].kind, outcomes["a"].reason) == ("transient", "blocked")
    assert [outcomes[video_id].status for video_id in "bc"] == ["done", "done"]


def test_another_task_asks_for_nothing_during_a_pause(
    download_root: Root, video_site: Site
) -> None:
    pause_file(download_root).parent.mkdir(parents=True)
    notice = Notice(since=time.time(), seconds=0.8, number=1, why="blocked")
    pause_file(download_root).write_text(str(vars(notice)).replace("'", '"'))
    thread = threading.Thread(
        target=download, args=(download_root, video_site, "a"), kwargs={"shard": 7}
    )
    thread.start()
    while True:
        asked = list(video_site.asked)  # before the look at the clock
        if time.time() >= notice.until:
            break
        assert asked == []
        time.sleep(0.02)
    thread.join()
    assert entered(download_root)["a"].status == "done"
