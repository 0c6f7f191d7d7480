import errno
import gc
import resource
import time

import pytest

from mcn.data.ledger import LedgerFile, Outcome
from mcn.root import Root
from tests.downloads import (
    ODD_IDS,
    config_for,
    download,
    entered,
    files,
)
from tests.video_site import Fault, Site


def test_a_video_comes_whole_under_its_id_whatever_the_id(
    download_root: Root, video_site: Site
) -> None:
    outcomes = download(download_root, video_site, "a", *ODD_IDS)
    assert {outcome.status for outcome in outcomes.values()} == {"done"}
    assert files(download_root) == {
        f"{video_id}.mp4": video_site.videos[video_id] for video_id in outcomes
    }
    assert set(video_site.asked_for()) == {"a", *ODD_IDS}
    assert sorted(path.name for path in download_root.path.iterdir()) == ["raw", "store"]
    assert not list(download_root.raw.glob(".0*")) and not list(
        download_root.ledger.rglob("*.lease")
    )


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (404, "permanent", "gone"),
        (410, "permanent", "gone"),
        (403, "transient", "http_403"),
        (500, "transient", "http_500"),
        (503, "transient", "http_503"),
        ("reset", "transient", "network"),
        ("page", "transient", "extraction"),
    ],
)
def test_what_cannot_be_had_is_entered_with_its_kind_and_costs_no_other(
    download_root: Root, video_site: Site, fault: Fault, kind: str, reason: str
) -> None:
    video_site.always["a"] = fault
    outcomes = download(download_root, video_site, "a", "b", tries=2)
    assert (outcomes["a"].status, outcomes["a"].kind, outcomes["a"].reason) == (
        "failed",
        kind,
        reason,
    )
    tries = 1 if kind == "permanent" else 2
    assert outcomes["a"].attempts == tries
    assert [video_id for video_id, _ in video_site.asked] == ["a"] * tries + ["b", "b"]
    assert files(download_root) == {"b.mp4": video_site.videos["b"]}


@pytest.mark.parametrize("fault", [404, 403, 500, "reset"])
def test_data_that_does_not_come_is_no_proof_that_a_video_is_gone(
    download_root: Root, video_site: Site, fault: Fault
) -> None:
    video_site.faults["a"] = [None, fault]
    assert download(download_root, video_site, "a")["a"].attempts == 2
    assert files(download_root) == {"a.mp4": video_site.videos["a"]}


def test_waits_between_tries_double_and_are_kept(download_root: Root, video_site: Site) -> None:
    config = config_for(video_site, retry_seconds=0.4)
    assert [config.seconds_before(number) for number in (1, 2, 3, 4)] == [0, 0.4, 0.8, 1.6]
    video_site.always["a"] = 500
    began = time.monotonic()
    download(download_root, video_site, "a", tries=2, retry_seconds=2.0)
    assert time.monotonic() - began > 1.0


def test_a_body_that_is_cut_off_gives_no_file(download_root: Root, video_site: Site) -> None:
    video_site.faults["a"] = [None, "cut", None, "cut"]
    outcome = download(download_root, video_site, "a", tries=2)["a"]
    assert (outcome.kind, outcome.reason) == ("transient", "data")
    assert files(download_root) == {}


def test_what_is_there_or_has_failed_is_not_asked_for_again(
    download_root: Root, video_site: Site
) -> None:
    (download_root.raw / "b.webm").write_bytes(b"from elsewhere")
    video_site.always["c"] = 403
    first = download(download_root, video_site, "a", "b", "c")
    assert video_site.asked_for() == ["a", "c"]
    assert first["b"].status == "done"
    video_site.asked.clear()
    (download_root.raw / "a.mp4").unlink()  # a raw file may go when it is resized
    assert download(download_root, video_site, "a", "b", "c") == first
    assert video_site.asked == []


def test_a_retry_asks_for_transient_failures_only(download_root: Root, video_site: Site) -> None:
    video_site.faults["a"] = [500, 500]
    video_site.always["b"] = 404
    download(download_root, video_site, "a", "b", "c", tries=2)
    video_site.asked.clear()
    outcomes = download(download_root, video_site, "a", "b", "c", retry="transient")
    assert video_site.asked_for() == ["a"]
    assert (outcomes["a"].status, outcomes["a"].attempts) == ("done", 3)
    assert files(download_root) == {
        f"{video_id}.mp4": video_site.videos[video_id] for video_id in "ac"
    }


def test_a_retry_begins_with_what_was_tried_least(download_root: Root, video_site: Site) -> None:
    ledger = LedgerFile(download_root.ledger / "download" / "00000.jsonl")
    for video_id, attempts in (("a", 9), ("b", 4), ("c", 5)):
        ledger.append(
            Outcome(video_id=video_id, status="failed", kind="transient", attempts=attempts)
        )
    download(download_root, video_site, "a", "b", "c", retry="transient")
    assert video_site.asked_for() == ["b", "c", "a"]


def test_an_id_too_long_for_a_name_is_no_reason_to_stop(
    download_root: Root, video_site: Site
) -> None:
    outcomes = download(download_root, video_site, "x" * 255, "a")
    assert (outcomes["x" * 255].kind, outcomes["x" * 255].reason) == ("permanent", "name")
    assert outcomes["a"].status == "done" and video_site.asked_for() == ["a"]


def test_a_limited_rate_is_kept(download_root: Root, video_site: Site) -> None:
    video_site.videos["a"] = bytes(500_000)
    began = time.monotonic()
    download(download_root, video_site, "a", megabytes_per_second=0.25)
    assert time.monotonic() - began > 1.8


def test_a_video_that_takes_too_long_is_transient(download_root: Root, video_site: Site) -> None:
    video_site.videos["a"] = bytes(500_000)
    outcome = download(
        download_root, video_site, "a", megabytes_per_second=0.1, video_minutes=0.005, tries=1
    )["a"]
    assert (outcome.kind, outcome.reason) == ("transient", "slow")
    assert files(download_root) == {}


# yt-dlp leaves the connection of a download that ends so to Python's collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_ends_the_task_and_is_no_videos_fault(
    download_root: Root, video_site: Site
) -> None:
    video_site.videos["a"] = bytes(100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        with pytest.raises(OSError) as caught:
            download(download_root, video_site, "a", "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    del caught
    gc.collect()
    assert entered(download_root) == {}
    assert len(download(download_root, video_site, "a", "b")) == 2
