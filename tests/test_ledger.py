from pathlib import Path

import pytest

from mcn.data.ledger import LedgerFile, Outcome, read_ledger


def test_the_newest_outcome_of_a_video_counts(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "00000.jsonl")
    ledger.append(Outcome(video_id="-a", status="failed", reason="truncated"))
    ledger.append(Outcome(video_id="b", status="done", num_frames=30))
    ledger.append(Outcome(video_id="-a", status="done", seconds=1.5))
    assert ledger.read()["-a"] == Outcome(video_id="-a", status="done", seconds=1.5)
    assert set(read_ledger(tmp_path)) == {"-a", "b"}


@pytest.mark.parametrize("cut", [1, 2, 17, 40])
def test_a_line_cut_off_by_a_kill_costs_one_outcome_and_no_other(tmp_path: Path, cut: int) -> None:
    ledger = LedgerFile(tmp_path / "00000.jsonl")
    ledger.append(Outcome(video_id="a", status="done"))
    ledger.append(Outcome(video_id="b", status="done"))
    content = ledger.path.read_bytes()
    ledger.path.write_bytes(content[:-cut])
    assert set(ledger.read()) == {"a"}
    ledger.append(Outcome(video_id="c", status="done"))
    assert set(ledger.read()) == {"a", "c"}


def test_no_ledger_is_an_empty_one(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "resize") == {}
