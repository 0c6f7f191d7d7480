"""Videos that failed in extraction: a second try of poison, and shards of their own on request."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from extractors.extract import extract_shard
from extractors.plan import extend_plan, keep_plan, with_videos_again
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.outcomes import StoreOutcomes
from mcn.store.record import Record
from tests.shards import PROVENANCE, VIDEO, done, failed

IDS = ["a", "hung", "b", "cut"]


class Source:
    """Videos of which some fail, each for so many tries with its reason."""

    fingerprint = VIDEO
    provenance = PROVENANCE

    def __init__(self, reasons: dict[str, list[str]], stop: StopRequest | None = None) -> None:
        self.reasons = reasons
        self.stop = stop
        self.tries: Counter[str] = Counter()

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        for video_id in video_ids:
            reasons = self.reasons.get(video_id, [])
            number = self.tries[video_id]
            self.tries[video_id] += 1
            if self.stop is not None and video_id == "b":
                self.stop.is_set = True
            fails = number < len(reasons)
            yield failed(video_id, reasons[number]) if fails else done(video_id)


def extract(path: Path, source: Source, stop: StopRequest | None = None) -> Progress:
    with Progress("", total=len(IDS), unit="videos", is_shown=False) as progress:
        extract_shard(path, IDS, source, progress=progress, stop=stop or StopRequest())
    return progress


def test_poison_has_a_second_try_in_its_shard_and_no_third(tmp_path: Path) -> None:
    source = Source({"hung": ["hung"] * 9, "cut": ["truncated"] * 9})
    progress = extract(tmp_path / "00000.h5", source)
    assert source.tries == {"a": 1, "b": 1, "cut": 1, "hung": 2}
    assert (progress.done, progress.skipped) == (4, 0)
    failures = StoreOutcomes.of(tmp_path).failed
    assert {k: failure.reason for k, failure in failures.items()} == {
        "hung": "hung",
        "cut": "truncated",
    }


def test_a_crash_that_does_not_come_again_leaves_no_trace(tmp_path: Path) -> None:
    extract(tmp_path / "disturbed.h5", Source({"hung": ["crashed"]}))
    extract(tmp_path / "undisturbed.h5", Source({}))
    disturbed, undisturbed = (tmp_path / f"{name}disturbed.h5" for name in ("", "un"))
    assert disturbed.read_bytes() == undisturbed.read_bytes()


def test_tries_are_counted_across_restarts(tmp_path: Path) -> None:
    path, stop = tmp_path / "00000.h5", StopRequest()
    first = Source({"hung": ["crashed", "hung"]}, stop)
    with pytest.raises(StoppedEarlyError, match=r"2 videos of .* are left"):
        extract(path, first, stop)
    second = Source({"hung": ["hung", "hung"]})
    extract(path, second)
    assert (first.tries["hung"], second.tries["hung"]) == (1, 1)
    assert StoreOutcomes.of(tmp_path).failed["hung"].reason == "hung"


def test_videos_are_planned_again_behind_all_that_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "video.csv"
    before = extend_plan(path, dict.fromkeys("abcdef", 1.0), videos_per_shard=3)
    after = with_videos_again(before, {"b": 1.0, "e": 1.0}, videos_per_shard=3)
    keep_plan(path, after)
    assert after == [*before, ["b", "e"]]
    assert extend_plan(path, dict.fromkeys("abcdef", 1.0), videos_per_shard=3) == after
