"""Training runs and lost videos, as status shows them."""

import io
import json
from collections import Counter
from pathlib import Path

from rich.console import Console

from mcn.data.ledger import LedgerFile, Outcome, read_ledger
from mcn.data.ledger_columns import read_columns
from mcn.report.lost_videos import lost_videos
from mcn.report.runs import TAIL_BYTES, Throughput, run_states
from mcn.report.runs_table import runs_table
from mcn.root import Root
from tests.shards import done, failed, write_shard


def write_metrics(root: Path, run: str, num_steps: int) -> Path:
    path = root / "runs" / run / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    rows = (
        {"step": step, "stage": 1 + (step >= 600), "epoch": 1, "loss": 9.0 - step / 1000}
        for step in range(num_steps)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_stands_where_its_last_whole_line_says(tmp_path: Path) -> None:
    path = write_metrics(tmp_path, "AV_T-seed0", 5000)
    assert path.stat().st_size > 3 * TAIL_BYTES
    with path.open("a") as file:
        file.write('{"step": 5000, "stage": 2, "epo')
    told = Throughput(num_steps=9000, per_second=2.5, state="RUNNING", note="")
    (run,) = run_states(Root(tmp_path), {"AV_T-seed0": told})
    assert (run.stage, run.step, run.num_steps, run.loss) == (2, 5000, 9000, 9.0 - 4.999)
    assert (run.per_second, run.state, run.is_finished) == (2.5, "RUNNING", False)


def test_a_run_of_rounds_says_which_and_what_it_does_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "xdc-sdc-seed0" / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    row = {"step": 9, "stage": 1, "epoch": 4, "loss": 2.0, "round": 2.0}
    path.write_text(json.dumps(row) + "\n")
    (path.parent / "config.yaml").write_text("train: {model: xdc, rounds: 5}\ndata: {}\n")
    doing = "clusters for round 3: features 7/12"
    told = Throughput(num_steps=25, per_second=None, state="RUNNING", note=doing)
    (run,) = run_states(Root(tmp_path), {"xdc-sdc-seed0": told})
    assert (run.round, run.num_rounds, run.note) == (2, 5, doing)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(runs_table([run]))
    screen = console.export_text()
    assert "round 2 of 5, epoch 4" in screen
    assert doing in screen


def test_a_finished_run_goes_at_no_rate(tmp_path: Path) -> None:
    path = write_metrics(tmp_path, "AVT-seed1", 20)
    (path.parent / "checkpoints").mkdir()
    (path.parent / "checkpoints" / "final.safetensors").touch()
    told = Throughput(num_steps=20, per_second=2.5, state="COMPLETED", note="")
    (run,) = run_states(Root(tmp_path), {"AVT-seed1": told})
    assert (run.state, run.step, run.num_steps, run.per_second) == ("finished", 20, 20, None)


def test_the_loss_is_the_newest_finite_one_and_steps_left_out_are_counted(tmp_path: Path) -> None:
    path = write_metrics(tmp_path, "AV_T-seed0", 3)
    with path.open("a") as file:
        file.write('{"step": 3, "stage": 1, "epoch": 1, "loss": NaN}\n')
        file.write('{"step": 4, "stage": 1, "epoch": 1, "skipped": 1}\n')
    fault = {"step": 4, "stage": 1, "skipped": {"what": "loss"}}
    (path.parent / "nonfinite.jsonl").write_text(json.dumps(fault) + "\n")
    (run,) = run_states(Root(tmp_path), {})
    assert (run.step, run.loss, run.left_out) == (5, 9.0 - 0.002, 1)


def test_a_run_that_has_not_begun_is_there_without_numbers(tmp_path: Path) -> None:
    (tmp_path / "runs" / "AV_T-seed0").mkdir(parents=True)
    (run,) = run_states(Root(tmp_path), {})
    assert (run.step, run.loss, run.written_at, run.is_finished) == (None, None, None, False)


def test_failures_are_counted_as_the_whole_ledger_says(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "00000.jsonl")
    for number, reason in enumerate(["truncated", "timeout", "truncated", "no-video"]):
        ledger.append(Outcome(video_id=f"v{number}", status="failed", reason=reason))
    ledger.append(Outcome(video_id="v1", status="done", detail='"failed" before'))
    ledger.append(Outcome(video_id="v2", status="failed", reason="disk"))
    ledger.append(Outcome(video_id="failed", status="done"))
    with ledger.path.open("a") as file:
        file.write('{"video_id": "v0", "status": "do')
    slow = (outcome for outcome in read_ledger(tmp_path).values() if outcome.status == "failed")
    counted = sum(read_columns(tmp_path).failures().values(), Counter())
    assert counted == Counter(outcome.reason for outcome in slow)
    assert counted == {"truncated": 1, "no-video": 1, "disk": 1}


def test_lost_videos_are_named_by_step_and_benchmark(tmp_path: Path) -> None:
    root = Root(tmp_path)
    lost = Outcome(video_id="a", status="failed", reason="truncated")
    LedgerFile(root.benchmark("youcook2").ledger / "resize" / "00000.jsonl").append(lost)
    records = [failed("a"), failed("b"), failed("c", "no-audio"), done("d")]
    (root.store / "audio-davenet").mkdir(parents=True)
    write_shard(root.store / "audio-davenet" / "00000.h5", records)
    (root.store / "audio-davenet" / "00001.h5").write_bytes(b"none of ours")
    lost_by_step = lost_videos(root)
    assert lost_by_step.keys() == {"audio-davenet", "youcook2/resize"}
    assert lost_by_step["youcook2/resize"] == {"truncated": 1}
    reasons = lost_by_step["audio-davenet"]
    assert (reasons.pop("truncated"), reasons.pop("no-audio")) == (2, 1)
    assert list(reasons.values()) == [1]
