from pathlib import Path
from typing import Any

import pytest

from extractors.resize import ResizeConfig
from extractors.resize_shard import removed_videos, resize_shard
from mcn.data.failure_class import Retry
from mcn.data.ledger import LedgerFile, Outcome
from mcn.data.ledger_columns import read_columns
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.layout import NOT_COUNTED, lease_folder
from mcn.store.lease import LeaseLostError, ShardBusyError, acquire
from tests.shards import RENEWED, elsewhere
from tests.videos import write_video


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """Three short videos and one that cannot be read."""
    (tmp_path / "raw").mkdir()
    raw = {f"{name}": tmp_path / "raw" / f"{name}.mp4" for name in ("a", "b", "c", "bad")}
    for video_id, path in raw.items():
        if video_id == "bad":
            path.write_bytes(b"no video")
        else:
            write_video(path, seconds=1.0, width=64, height=48)
    return raw


def resize(
    root: Path,
    sources: dict[str, Path],
    progress: Progress | None = None,
    stop: StopRequest | None = None,
    config: ResizeConfig | None = None,
    **options: Any,
) -> None:
    (root / "resized").mkdir(parents=True, exist_ok=True)
    with progress or Progress("", total=len(sources), unit="videos", is_shown=False) as counted:
        resize_shard(
            sources,
            root / "resized",
            LedgerFile(root / "ledger" / "00000.jsonl"),
            config or ResizeConfig(),
            num_threads=1,
            progress=counted,
            stop=stop or StopRequest(),
            **options,
        )


def files(root: Path) -> dict[str, bytes]:
    found = [
        path
        for path in root.rglob("*")
        if path.is_file() and path.suffix not in (".jsonl", ".columns")
    ]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_a_resized_shard_leaves_nothing_behind_and_is_left_alone(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    root = tmp_path / "root"
    resize(root, sources)
    assert sorted(files(root)) == ["resized/a.mp4", "resized/b.mp4", "resized/c.mp4"]
    assert not lease_folder(root / "ledger" / "00000.jsonl").exists()
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    resize(root, sources)
    assert stamps == {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_the_errors_that_a_decoder_met_are_in_the_ledger(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    content = bytearray(sources["a"].read_bytes())
    middle = slice(len(content) // 2, len(content) // 2 + 200)
    content[middle] = bytes(200)
    sources["a"].write_bytes(content)
    resize(tmp_path / "root", sources, config=ResizeConfig(min_complete=0.0))
    outcomes = LedgerFile(tmp_path / "root" / "ledger" / "00000.jsonl").read()
    assert outcomes["a"].num_errors > 0
    assert (outcomes["b"].num_errors, outcomes["bad"].num_errors) == (0, NOT_COUNTED)
    assert read_columns(tmp_path / "root" / "ledger").by_id("num_errors")["a"] > 0


def test_a_second_process_is_refused_the_shard(tmp_path: Path, sources: dict[str, Path]) -> None:
    ledger = tmp_path / "root" / "ledger" / "00000.jsonl"
    with (
        acquire(lease_folder(ledger), elsewhere(), lease_seconds=RENEWED),
        pytest.raises(ShardBusyError, match="node7"),
    ):
        resize(tmp_path / "root", sources)
    assert files(tmp_path / "root" / "resized") == {}


class OvertakenProgress(Progress):
    """Loses the lease to another machine when the first video is done."""

    ledger: Path

    def advance(self, amount: int = 1, *, frames: int = 0) -> None:
        super().advance(amount, frames=frames)
        if self.done == 1:
            acquire(lease_folder(self.ledger), elsewhere("job")).release()


def test_an_overtaken_process_enters_nothing_more_and_the_next_one_ends_alike(
    tmp_path: Path, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    resize(tmp_path / "left alone", sources)
    root = tmp_path / "root"
    progress = OvertakenProgress("", total=4, unit="videos", is_shown=False)
    progress.ledger = root / "ledger" / "00000.jsonl"
    monkeypatch.setenv("MCN_LEASE_OWNER", "job")
    with pytest.raises(LeaseLostError):
        resize(root, sources, progress)
    ledger = LedgerFile(progress.ledger)
    assert len(ledger.read()) == 1
    resize(root, sources)
    assert files(root) == files(tmp_path / "left alone")
    assert ledger.read() == LedgerFile(tmp_path / "left alone" / "ledger" / "00000.jsonl").read()


@pytest.mark.parametrize(
    ("before", "retry", "tries"),
    [
        (Outcome(video_id="a", status="failed", reason="hung", kind="poison", attempts=1), None, 1),
        (Outcome(video_id="a", status="failed", reason="hung", kind="poison", attempts=2), None, 0),
        (Outcome(video_id="a", status="failed", reason="missing", attempts=4), None, 0),
        (Outcome(video_id="a", status="failed", reason="missing", attempts=4), "transient", 1),
        (Outcome(video_id="a", status="failed", reason="empty", attempts=1), "transient", 0),
        (Outcome(video_id="a", status="done", attempts=1), "all", 0),
    ],
)
def test_just_the_failures_that_are_due_are_resized_again(
    tmp_path: Path,
    sources: dict[str, Path],
    before: Outcome,
    retry: Retry | None,
    tries: int,
) -> None:
    ledger = LedgerFile(tmp_path / "root" / "ledger" / "00000.jsonl")
    ledger.append(before)
    if before.status == "done":
        (tmp_path / "root" / "resized").mkdir()
        (tmp_path / "root" / "resized" / "a.mp4").touch()
    resize(tmp_path / "root", {"a": sources["a"]}, retry=retry)
    after = ledger.read()["a"]
    assert after.attempts == before.attempts + tries
    assert after.status == ("done" if tries else before.status)


def test_sources_go_only_where_what_was_made_of_them_is_sound(
    tmp_path: Path, sources: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    resize(root, sources)
    assert all(path.exists() for path in sources.values())
    sound = (root / "resized" / "a.mp4").read_bytes()
    (root / "resized" / "b.mp4").write_bytes(sound[: len(sound) // 2])
    resize(root, sources, deletes_sources=True)
    assert {name for name, path in sources.items() if path.exists()} == {"b", "bad"}
    assert "b.mp4 is kept" in capsys.readouterr().out
    outcomes = LedgerFile(root / "ledger" / "00000.jsonl").read()
    assert {k for k, outcome in outcomes.items() if outcome.is_source_deleted} == {"a", "c"}


def test_a_source_that_a_kill_left_behind_after_the_entry_goes_at_the_next_run(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    only = {"a": sources["a"]}
    content = sources["a"].read_bytes()
    resize(tmp_path / "root", only, deletes_sources=True)
    sources["a"].write_bytes(content)
    resize(tmp_path / "root", only, deletes_sources=True)
    assert not sources["a"].exists()


def test_a_task_that_is_asked_to_stop_deletes_nothing_more(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    only, stop = {"a": sources["a"]}, StopRequest()
    resize(tmp_path / "root", only)
    stop.is_set = True
    with pytest.raises(StoppedEarlyError, match="1 videos are left"):
        resize(tmp_path / "root", only, stop=stop, deletes_sources=True)
    assert sources["a"].exists()


def test_a_resized_file_that_was_removed_is_made_again_when_all_is_asked_for(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    root, only = tmp_path / "root", {"a": sources["a"]}
    resize(root, only)
    resized = root / "resized" / "a.mp4"
    content = resized.read_bytes()
    resized.unlink()
    resize(root, only, retry="transient")
    assert not resized.exists()
    assert removed_videos(only, resized.parent, "all") == {"a"}
    resize(root, only, retry="all")
    assert resized.read_bytes() == content
    assert removed_videos(only, resized.parent, "all") == set()
