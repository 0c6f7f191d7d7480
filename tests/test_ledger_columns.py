import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from mcn.data.ledger import LedgerFile, Outcome, is_left
from mcn.data.ledger_columns import COLUMNS_SUFFIX, leave_columns, read_columns

OUTCOMES = [
    Outcome(video_id="a", status="failed", reason="hung", kind="poison", attempts=1),
    Outcome(video_id="-b", status="done", seconds=2.5, num_frames=75, num_errors=4, attempts=1),
    Outcome(video_id="ü", status="failed", reason="truncated"),
    Outcome(video_id="a", status="done", num_frames=30, attempts=2),
    Outcome(video_id="c", status="failed", reason="http_503", kind="transient", attempts=3),
    Outcome(video_id="d", status="failed", reason="crashed", kind="poison", attempts=2),
    Outcome(video_id="e", status="failed", reason="crashed", kind="poison", attempts=1),
]


@pytest.fixture
def ledger(tmp_path: Path) -> LedgerFile:
    ledger = LedgerFile(tmp_path / "00000.jsonl")
    ledger.path.write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in OUTCOMES))
    return ledger


def stages(ledger: LedgerFile) -> Iterator[str]:
    """The ways in which columns may lie beside their lines."""
    yield "none"
    leave_columns(ledger)
    yield "up to date"
    ledger.append(Outcome(video_id="-b", status="failed", reason="empty", attempts=2))
    ledger.append(Outcome(video_id="new", status="done"))
    yield "older than the newest lines"
    leave_columns(ledger)
    with ledger.path.open("a") as file:
        file.write('{"video_id": "cut off')
    yield "with a line cut off behind them"
    columns = ledger.path.with_suffix(COLUMNS_SUFFIX)
    columns.write_bytes(columns.read_bytes()[:-3])
    yield "damaged"


def test_columns_say_what_the_lines_say_however_old_they_are(ledger: LedgerFile) -> None:
    for stage in stages(ledger):
        outcomes = ledger.read()
        columns = read_columns(ledger.path.parent)
        assert sorted(columns.rows["video_id"].tolist()) == sorted(map(str.encode, outcomes)), stage
        for row in columns.rows:
            outcome = outcomes[row["video_id"].decode()]
            said = (row["reason"].decode(), row["attempts"], row["num_frames"], row["seconds"])
            assert said == (outcome.reason, outcome.attempts, outcome.num_frames, outcome.seconds)
            assert row["num_errors"] == outcome.num_errors
        for retry in (None, "transient", "poison", "all"):
            left = {k for k, outcome in outcomes.items() if is_left(outcome, retry)}
            assert columns.left([*outcomes, "unknown"], retry) == left | {"unknown"}, (stage, retry)


def test_failures_are_counted_by_class_and_reason(ledger: LedgerFile) -> None:
    assert read_columns(ledger.path.parent).failures() == {
        "permanent": {"truncated": 1},
        "transient": {"http_503": 1},
        "poison": {"crashed": 2},
    }


def test_a_damaged_line_is_reported_and_costs_its_video_alone(ledger: LedgerFile) -> None:
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:5] + b"\xff" + lines[1][6:]
    ledger.path.write_bytes(b"".join(lines))
    assert set(ledger.read()) == {"a", "ü", "c", "d", "e"}
    for _ in range(2):
        columns = read_columns(ledger.path.parent)
        (sentence,) = columns.damaged
        assert f"00000.jsonl: the line at byte {len(lines[0])} is damaged" in sentence
        assert len(columns.rows) == 5
        leave_columns(ledger)


def test_lines_that_were_edited_by_hand_are_read_anew(ledger: LedgerFile) -> None:
    leave_columns(ledger)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    longer = json.dumps(asdict(Outcome(video_id="longer", status="done", detail="x" * 500)))
    edits = {
        "one deleted and others added": [*lines[1:], longer.encode() + b"\n", lines[0]],
        "one changed in its place": [
            *lines[:2],
            lines[2].replace(b"truncated", b"corrupted"),
            *lines[3:],
        ],
        "the last one deleted": lines[:-1],
    }
    for edit, content in edits.items():
        ledger.path.write_bytes(b"".join(content))
        outcomes = ledger.read()
        columns = read_columns(ledger.path.parent)
        assert columns.damaged == [], edit
        found = dict(zip(columns.rows["video_id"], columns.rows["reason"], strict=True))
        expected = {k.encode(): outcome.reason.encode() for k, outcome in outcomes.items()}
        assert found == expected, edit
