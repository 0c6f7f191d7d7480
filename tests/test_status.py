"""`jobs/status.py` as people and scripts use it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jobs import status
from jobs.status import Arguments, main, watch
from mcn.data.ledger import LedgerFile, Outcome
from mcn.root import Root
from slurm.board.sources import Sources
from slurm.board.states import states_of
from slurm.submission import StepFolder
from slurm.submit import submit
from slurm.testbed import Testbed
from tests.boards import Commands, begin, end, launch, make_progress
from tests.slurm_cluster import empty_queue, wait_until
from tests.submissions import manifest_of, python

SCRIPT = Path(__file__).parent.parent / "jobs" / "status.py"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(tmp_path / "bin", monkeypatch)


@pytest.fixture
def root(tmp_path: Path, commands: Commands) -> Path:
    """A root with an array that fails here and there, a run under training and a lost video."""
    extract = launch(tmp_path, "extract", 8)
    end(extract, 0, 0)
    for index in (1, 2, 3):
        end(extract, index, 1, says="KeyError: 'frames'")
    for index in (4, 5):
        begin(extract, index)
        make_progress(extract, index, done=50, frames=400)
    train = launch(tmp_path, "train-AV_T-seed0", 1, is_array=False)
    (tmp_path / "logs" / "train-AV_T-seed0" / "rank0.log").write_text("step 7\n")
    make_progress(train, 0, done=8, total=40, seconds=4, note="waits 2.0% for data")
    run = tmp_path / "runs" / "AV_T-seed0"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text('{"step": 7, "stage": 1, "epoch": 2, "loss": 1.25}\n')
    lost = Outcome(video_id="a", status="failed", reason="truncated")
    LedgerFile(tmp_path / "store" / "ledger" / "resize" / "00000.jsonl").append(lost)
    commands.say(
        "squeue",
        "77_4|RUNNING|None|node1|10:00|N/A|\n77_5|RUNNING|None|node2|10:00|N/A|\n"
        "77_6|PENDING|Priority||0:00|N/A|\n77_7|PENDING|Priority||0:00|N/A|\n"
        "77|RUNNING|None|node3|10:00|N/A|\n",
    )
    return tmp_path


def seen(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(Arguments(root=root, json=True))
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_one_screen_joins_queue_markers_logs_runs_and_lost_videos(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(Arguments(root=root))
    screen = capsys.readouterr().out
    for part in (
        "1 COMPLETED",
        "3 FAILED",
        "2 RUNNING",
        "2 PENDING",
        "Priority",
        "extract: 3 tasks, code (FAILED): shards 1-3",
        f"{root}/logs/extract/00001.log",
        "| KeyError: 'frames'",
        "8 of 40",
        "waits 2.0% for data",
        "1.25",
        "resize: 1 failed (1 truncated)",
        "python jobs/status.py --resubmit --step extract",
    ):
        assert part in screen


@pytest.mark.parametrize("columns", [100, 160])
def test_no_word_of_the_tables_is_cut_off(
    root: Path, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    content = seen(root, capsys)
    console = Console(width=columns, record=True)
    look = status._look(Root(root), Sources(), Arguments(root=root))
    status._print(console, Root(root), look)
    tables = capsys.readouterr().out.partition("ended short")[0]
    assert max(map(len, tables.splitlines()[2:])) <= columns
    assert "\N{HORIZONTAL ELLIPSIS}" not in tables
    for word in (*content["steps"][0]["states"], "restarts", "last step", "memory"):
        assert word in tables


def test_a_watch_outlives_a_file_system_that_fails_for_a_moment(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = root / "store" / "ledger" / "resize" / "00000.jsonl"
    content = ledger.read_bytes()
    ledger.unlink()
    ledger.mkdir()  # cannot be read as a file
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt
        ledger.rmdir()
        ledger.write_bytes(content)

    watch(Root(root), Arguments(root=root), wait=wait)
    said = capsys.readouterr().out
    assert f"{ledger}" in said
    assert "resize: 1 failed (1 truncated)" in said
    assert waits == [15, 15]


def test_json_has_the_keys_that_the_command_documents(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = seen(root, capsys)
    extract = content["steps"][0]
    documented = set((status.__doc__ or "").replace(",", " ").replace(";", " ").split())
    for part in (content, extract, extract["work"], extract["failures"][0], content["runs"][0]):
        assert part.keys() <= documented
    assert extract["efficiency"].keys() <= documented
    assert content["lost_videos"] == {"resize": {"truncated": 1}}
    (run,) = content["runs"]
    assert (run["step"], run["num_steps"], run["loss"], run["state"]) == (8, 40, 1.25, "RUNNING")
    assert run["per_second"] == pytest.approx(2)


def test_the_end_of_a_log_is_printed_with_its_path(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = root / "logs" / "extract" / "00002.log"
    own.write_text("".join(f"line {number}\n" for number in range(5000)))
    (root / "logs/extract/submissions/0001/slurm/77_2.out").write_text("slurmstepd: killed\n")
    main(Arguments(root=root, log=2, lines=2))
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [f"==> {own} <==", "line 4998", "line 4999"]
    assert said[4:] == ["slurmstepd: killed"]


def test_a_shard_of_several_steps_has_to_be_told_apart(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"--step\? extract, train-AV_T-seed0"):
        main(Arguments(root=root, log=0))
    main(Arguments(root=root, log=0, step="train-AV_T-seed0"))
    assert "step 7" in capsys.readouterr().out
    with pytest.raises(ValueError, match="--log 99: no step"):
        main(Arguments(root=root, log=99))
    with pytest.raises(ValueError, match=r"--step extrakt: .* has extract, train-AV_T-seed0"):
        main(Arguments(root=root, step="extrakt"))


def test_a_dry_run_says_what_ended_short_and_submits_nothing(
    root: Path, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.do("sbatch", "exit 1")
    main(Arguments(root=root, resubmit=True, dry_run=True))
    assert capsys.readouterr().out.splitlines() == [
        "extract: would submit again 3 tasks, shards 1-3",
        "train-AV_T-seed0: nothing to submit again in 1 tasks",
    ]
    assert commands.calls("sbatch") == 0


def test_nothing_is_submitted_again_where_the_queue_cannot_be_asked(
    root: Path, commands: Commands
) -> None:
    commands.say("squeue", "nonsense")
    commands.do("sbatch", "echo 5")
    with pytest.raises(OSError, match="nothing was submitted"):
        main(Arguments(root=root, resubmit=True))
    assert commands.calls("sbatch") == 0


@pytest.mark.parametrize("answer", ["nonsense", "missing"])
def test_without_slurm_the_screen_is_there_with_a_line_that_says_so(
    root: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    commands.say("squeue", "nonsense")
    if answer == "missing":
        monkeypatch.setenv("PATH", str(root / "nothing"))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), f"--root={root}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "squeue" in line]
    assert line.startswith("squeue")
    assert line.endswith("states are as the tasks' own markers say")
    assert "3 FAILED" in done.stdout
    assert "GONE" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_root_where_nothing_was_launched_is_an_error_that_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), f"--root={tmp_path}"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}: nothing was launched here yet\n"


def test_a_watch_looks_again_less_and_less_often(
    root: Path, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    watch(Root(root), Arguments(root=root), wait=wait)
    assert waits == [15, 30, 60]
    assert commands.calls("squeue") == 3
    assert capsys.readouterr().out.count("extract: 3 tasks, code") == 3


def test_ctrl_c_ends_a_watch_without_a_word(root: Path) -> None:
    command = [sys.executable, "-u", str(SCRIPT), f"--root={root}", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        assert watching.stdout is not None and watching.stderr is not None
        while b"next look in 15 s" not in watching.stdout.readline():
            pass
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0
        assert watching.stderr.read() == b""


@pytest.mark.slow
def test_on_slurm_status_names_each_state_and_submits_again_what_ended_short_alone(
    slurm_cluster: Testbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm_cluster.slurm_conf))
    commands = Commands(tmp_path / "bin", monkeypatch)
    for program in ("squeue", "sacct"):
        commands.pass_on(program)
    mended = tmp_path / "mended"
    step = StepFolder(tmp_path / "logs" / "extract")
    work = python(
        "import os, pathlib, time\n"
        "index = int(os.environ['TASK_INDEX'])\n"
        "if index == 6: time.sleep(600)\n"
        f"if index in (2, 5) and not pathlib.Path({str(mended)!r}).exists(): raise KeyError('x')\n"
    )
    submit(step, manifest_of(step, work, range(7)))
    capsys.readouterr()

    def states() -> list[str]:
        by_shard = states_of(step, Sources().look([step]))
        return [state.state for state in by_shard.values()]

    expected = ["COMPLETED", "COMPLETED", "FAILED", "COMPLETED", "COMPLETED", "FAILED", "RUNNING"]
    wait_until(lambda: states() == expected, "all but the last task end")
    before = {program: commands.calls(program) for program in ("squeue", "sacct")}
    (extract,) = seen(tmp_path, capsys)["steps"]
    assert {p: commands.calls(p) - n for p, n in before.items()} == {"squeue": 1, "sacct": 1}
    assert extract["states"] == {"COMPLETED": 4, "FAILED": 2, "RUNNING": 1}
    assert extract["short"] == "2,5"
    assert extract["failures"][0]["last_line"] == "KeyError: 'x'"
    assert extract["doubts"] == []

    mended.touch()
    main(Arguments(root=tmp_path, resubmit=True, exclude="node4"))
    assert "submitting again 2 tasks, shards 2,5" in capsys.readouterr().out
    again = step.submissions()[-1]
    assert again.manifest.indices == (2, 5)
    assert again.manifest.resources.exclude == "node4"
    wait_until(lambda: states() == ["COMPLETED"] * 6 + ["RUNNING"], "the two are done as well")
    main(Arguments(root=tmp_path, resubmit=True))
    assert "nothing to submit again in 7 tasks" in capsys.readouterr().out
    assert len(step.submissions()) == 2
    empty_queue(slurm_cluster)
