"""A whole study from one command: on this machine, and as a graph of jobs on a real SLURM."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mcn.root import REPOSITORY
from mcn.store.snapshot import Snapshot
from slurm.testbed import Testbed
from tests.slurm_cluster import empty_queue, wait_until, waiting
from tests.stores import SECONDS_PER_CLIP, write_stores

pytestmark = pytest.mark.slow

NUM_VIDEOS, CLIPS_PER_VIDEO = 4, 5
SIZES = {
    "batch-size": 8,
    "clips-per-video": 4,
    "stage1-epochs": 2,
    "stage2-epochs": 1,
    "embedding-dim": 16,
    "reconstruction-dim": 8,
    "clusters": 6,
    "queue-size": 64,
}
RUNS = {"AV_T-seed0", "AV_T-seed1", "AVT-seed0", "AVT-seed1"}


def write_root(root: Path) -> Path:
    """Stores to train on, and a benchmark with stores of its own."""
    write_stores(root / "store")
    benchmark = root / "benchmarks" / "youcook2"
    write_stores(
        benchmark / "store", num_videos=NUM_VIDEOS, clips_per_video=CLIPS_PER_VIDEO, seed=1
    )
    lines = [
        f"{SECONDS_PER_CLIP * clip},{SECONDS_PER_CLIP * (clip + 1)},step {clip},video1-{video:03d}"
        for video in range(NUM_VIDEOS)
        for clip in range(CLIPS_PER_VIDEO)
    ]
    header = "start,end,text,video_id"
    (benchmark / "validation_youcook.csv").write_text("\n".join([header, *lines]) + "\n")
    return root


ROWS = ("--stages", "AV_T,AVT", "--seeds", "0,1")


def study(root: Path, *options: str, rows: tuple[str, ...] = ROWS) -> str:
    command = [sys.executable, str(REPOSITORY / "jobs" / "study.py"), "--root", str(root)]
    sizes = [word for name, value in SIZES.items() for word in (f"--{name}", str(value))]
    where = ["--device", "cpu", "--cpus-per-task", "1"]
    done = subprocess.run(
        [*command, *rows, *where, *sizes, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def runs_of(root: Path) -> set[str]:
    return {path.parent.name for path in root.glob("runs/*/results.json")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_root(tmp_path / "data")


def test_a_study_on_this_machine_ends_with_one_table_and_does_nothing_twice(root: Path) -> None:
    first = study(root, "--cluster", "debug")
    assert runs_of(root) == RUNS
    table = (root / "report" / "study" / "report.md").read_text()
    assert "AV\\_T (audio and video, then text, 2 seeds)" in table
    assert "AVT (all three at once, 2 seeds)" in table
    assert "trained, " in first
    checkpoints = {path: path.stat().st_mtime_ns for path in root.glob("runs/*/checkpoints/*")}
    again = study(root, "--cluster", "debug")
    assert again.count("trained and evaluated already") == len(RUNS)
    assert {p: p.stat().st_mtime_ns for p in root.glob("runs/*/checkpoints/*")} == checkpoints


def test_all_runs_of_a_study_are_trained_on_what_was_sealed_when_it_began(root: Path) -> None:
    rows = ("--stages", "AVT", "--cluster", "debug")
    study(root, *rows, "--seeds", "0")
    write_stores(root / "later", seed=7)
    for path in (root / "later").glob("*/00000.h5"):
        path.rename(root / "store" / path.parent.name / "00001.h5")
    study(root, *rows, "--seeds", "0,1")
    kept = {path.read_bytes() for path in root.glob("runs/*/snapshot.json")}
    assert kept == {(root / "report" / "study" / "snapshot.json").read_bytes()}
    page = (root / "report" / "study" / "report.md").read_text()
    digest = Snapshot.read(root / "report" / "study" / "snapshot.json").digest()
    assert page.count(digest) == 2


def test_models_stand_in_one_table_and_what_no_space_compares_is_said_there(root: Path) -> None:
    rows = ("--models", "mcn,mmv-fac,mmv-disjoint", "--stages", "AVT,AT_V", "--seeds", "0")
    study(root, "--cluster", "debug", rows=rows)
    # AT_V would begin with sound and text, which MMV never compares.
    assert runs_of(root) == {
        *("AVT-seed0", "AT_V-seed0"),
        *("mmv-fac-AVT-seed0", "mmv-disjoint-AVT-seed0"),
    }
    for run, settings in (("AVT-seed0", (0.1, 1)), ("mmv-fac-AVT-seed0", (0.07, 4))):
        begun = yaml.safe_load((root / "runs" / run / "config.yaml").read_text())["train"]
        assert (begun["temperature"], begun["candidates"]) == settings, "defaults of the model"
    table = (root / "report" / "study" / "report.md").read_text()
    first = [line for line in table.splitlines() if line.startswith("|")]
    labels = [line.split(" | ")[0] for line in first[2:6]]
    assert labels == [
        "| AT\\_V (audio and text, then video)",
        "| AVT (all three at once)",
        "| mmv-disjoint AVT (all three at once; video + audio: in no space with text)",
        "| mmv-fac AVT (all three at once)",
    ]
    assert set(first[4].split(" | ")[1:-1]) == {"-"}, "a number where nothing was compared"
    assert not any(cell == "-" for cell in first[5].split(" | "))
    by_input = [line for line in table.splitlines() if line.startswith("| mmv-disjoint AVT | ")]
    assert "| audio alone: in no space with text | - |" in by_input[2]
    assert "| video alone | -" not in by_input[1]
    assert "sentences with audio alone: mmv-fac AVT **can, unlike** mmv-disjoint AVT" in table
    others = table.partition("## Other directions")[2].partition("\n## ")[0].splitlines()
    by_sound = [line for line in others if line.startswith("|") and "(v2a)" in line]
    assert len(by_sound) == 4 and not any("| - |" in line for line in by_sound)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (["--models", "mmv-fac,mmv"], "'mmv' is none of mcn,mmv-fac"),
        (["--models", "mmv-fac", "--stages", "AT_V"], "nothing to learn from"),
        (["--stages", "AV_X"], "'AV_X' is none of"),
        (["--seeds", "a"], "a: w"),
    ],
)
def test_a_model_an_order_or_a_seed_that_is_none_is_named(
    root: Path, wrong: list[str], complaint: str
) -> None:
    command = [sys.executable, str(REPOSITORY / "jobs" / "study.py"), "--root", str(root), *wrong]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_a_study_is_one_graph_of_jobs_and_only_what_is_missing_is_submitted_again(
    testbed: Testbed, root: Path
) -> None:
    scripts = study(root, "--cluster", "slurm", "--dry-run")
    assert scripts.count("#!/bin/bash") == 2 * len(RUNS) + 1
    assert "--dependency=afterok:ID_OF_train-AV_T-seed0" in scripts
    assert waiting(testbed) == []

    study(root, "--cluster", "slurm", "--sbatch", "begin", "now+1hour")
    assert len(waiting(testbed)) == 2 * len(RUNS) + 1
    again = study(root, "--cluster", "slurm")
    assert again.count("in the queue already") == 2 * len(RUNS) + 1
    assert len(waiting(testbed)) == 2 * len(RUNS) + 1
    empty_queue(testbed)

    study(root, "--cluster", "slurm")
    wait_until(lambda: waiting(testbed) == [], "the study is over")
    assert runs_of(root) == RUNS
    assert (root / "report" / "study" / "report.md").exists()

    (root / "runs" / "AVT-seed1" / "results.json").unlink()
    answer = study(root, "--cluster", "slurm", "--sbatch", "begin", "now+1hour")
    assert answer.count("submitted a job") == 2  # that evaluation, and the table
