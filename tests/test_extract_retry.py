"""Videos that failed in extraction: a second try of poison, and shards of their own on request."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from extractors.extract import extract_shard
from extractors.plan import extend_plan, keep_plan, with_videos_again
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.construction import newest_journals
from mcn.store.journal import peek
from mcn.store.outcomes import StoreOutcomes
from mcn.store.record import Record
from mcn.store.upkeep.repair import repair_shard
from mcn.store.writer import ShardWriter
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


def test_a_repaired_shard_does_not_try_again_what_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "00000.h5"
    reasons = {"hung": ["hung"] * 9, "cut": ["truncated"] * 9}
    extract(path, Source(reasons))
    whole = path.read_bytes()
    spoilt = bytearray(whole)
    spoilt[-1] ^= 1
    path.write_bytes(spoilt)
    append, left = ShardWriter.append, [2]

    def killed_between_its_two_records(self: ShardWriter, *arguments: Any) -> None:
        if left[0] == 0:
            raise InterruptedError
        left[0] -= 1
        append(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(ShardWriter, "append", killed_between_its_two_records)
        repair_shard(path)
    (journal,) = newest_journals(tmp_path)
    assert [entry.video_id for entry in peek(journal)[1]] == ["a", "hung"]
    repair = repair_shard(path)
    assert repair is not None
    assert repair.lost == ["b"]
    again = Source(reasons)
    extract(path, again)
    assert again.tries == {"b": 1}
    assert path.read_bytes() == whole


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
