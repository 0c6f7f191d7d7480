"""Studies of models with and without text, judged by retrieval, classes of videos, or both."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from jobs import evaluate, study
from jobs.probe_plan import PROBES, is_probed
from jobs.study_judging import _words_of
from jobs.study_runs import _options_for
from mcn.data.stores import Features
from mcn.probes.settings import ProbeSettings
from mcn.root import REPOSITORY, Root
from mcn.training.run_folder import RunFolder
from tests.probe_files import write_ucf101
from tests.probe_stores import write_planted
from tests.stores import FEATURES
from tests.test_study import SIZES, write_root

pytestmark = pytest.mark.slow

QUICK = ProbeSettings(ways="frozen", strengths="0.1,1", folds=2)
OPTIONS = [
    *("--device", "cpu", "--loader-workers", "0", "--batch-size", "8"),
    *(word for name, value in SIZES.items() for word in (f"--mcn.{name}", str(value))),
    *("--xdc.clusters", "4", "--xdc.rounds", "1", "--xdc.epochs-per-round", "1"),
    *("--xdc.pca-dim", "4", "--xdc.hidden-dim", "16", "--xdc.clip-seconds", "4"),
]
RUNS = ("AVT-seed0", "xdc-sdc-seed0")


def write_classes(root: Path) -> None:
    write_ucf101(root / "benchmarks" / "ucf101")
    write_planted(root / "benchmarks" / "ucf101")


def study_all(root: Path) -> None:
    """In a process of its own: in this one the types of what is parsed would be checked."""
    probes = (f"--probe.{name}={getattr(QUICK, name)}" for name in ("ways", "strengths", "folds"))
    words = ["--models", "mcn,xdc-sdc", "--stages", "AVT", *probes, *OPTIONS, "--cluster", "debug"]
    command = [sys.executable, str(REPOSITORY / "jobs" / "study.py"), "--root", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def study_xdc(root: Path, *options: str, name: str = "study", seeds: str = "0") -> None:
    asked = study.Arguments(models="xdc-sdc", seeds=seeds, root=root, probe=QUICK, name=name)
    study.main(asked, [*OPTIONS, *(options or ("--cluster", "debug"))])


def probe_files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.glob(f"*/*/{PROBES}")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_root(tmp_path_factory.mktemp("study") / "data")
    write_classes(root)
    study_all(root)
    return root


def test_models_with_and_without_text_stand_in_one_report(root: Path) -> None:
    assert {path.parent.name for path in root.glob("runs/*/results.json")} == {"AVT-seed0"}
    assert {path.parent.name for path in probe_files(root)} == {*RUNS, "ucf101"}
    page = (root / "report" / "study" / "report.md").read_text()
    retrieved, _, probed = page.partition("## Probes: UCF101")
    (row,) = re.findall(r"^\| xdc-sdc .*$", retrieved, re.MULTILINE)
    assert row.split(" | ") == [
        "| xdc-sdc (learns no space shared with text)",
        *("-", "-", "-"),
        "- |",
    ]
    labels = re.findall(r"^\| (\S.*) \| video \| frozen \| \d", probed, re.MULTILINE)
    assert labels == ["AVT", "xdc-sdc", "features alone"]


def test_only_probes_that_are_missing_are_made_again(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = probe_files(root)
    (root / "runs" / "xdc-sdc-seed0" / PROBES).unlink()
    study_xdc(root, name="other")
    assert "already" not in capsys.readouterr().out
    assert probe_files(root) == whole
    study_xdc(root, name="other")
    assert "xdc-sdc-seed0: trained and probed already" in capsys.readouterr().out
    run = RunFolder(root / "runs" / "AVT-seed0")
    assert is_probed(Root(root), run, QUICK)
    assert not is_probed(Root(root), run, ProbeSettings(ways="frozen", folds=3))
    assert not is_probed(Root(root), run, ProbeSettings(ways="frozen,linear", folds=2))


def test_a_run_without_text_is_trained_then_probed_and_then_the_table_is_made(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_xdc(root, "--dry-run", seeds="7")
    scripts = capsys.readouterr().out.split("#!/bin/bash")[1:]
    assert len(scripts) == 3
    assert "--dependency=afterok:ID_OF_train-xdc-sdc-seed7" in scripts[1]
    assert "--dependency=afterany:ID_OF_evaluate-xdc-sdc-seed7" in scripts[2]
    assert not (root / "runs" / "xdc-sdc-seed7").exists()


@pytest.mark.parametrize("task", ["retrieval", "probe", "both"])
def test_a_job_is_told_what_this_process_would_do(task: evaluate.Task) -> None:
    asked = evaluate.Arguments(
        task=task,
        features=Features(audio="audio-logmel", video_3d="video-motion"),
        root=Path("/data"),
        runs=("AVT-seed0", "xdc-sdc-seed0"),
        report=Path("/data/report/study"),
    )
    if task != "retrieval":
        asked = replace(asked, probe=QUICK, features_alone=False)
    assert tyro.cli(evaluate.Arguments, args=_words_of(asked)) == asked


def test_classes_alone_judge_xdc_alone_without_words(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "store", tmp_path / "store")
    for folder in (FEATURES.text, "words"):
        shutil.rmtree(tmp_path / "store" / folder)
    write_classes(tmp_path)
    study_xdc(tmp_path)
    assert not list(tmp_path.glob("runs/*/results.json"))
    page = (tmp_path / "report" / "study" / "report.md").read_text()
    assert page.startswith("# Classes of videos\n")
    assert "| features alone | video | frozen |" in page


def test_classes_without_features_are_named_before_anything_is_launched(tmp_path: Path) -> None:
    write_root(tmp_path)
    write_ucf101(tmp_path / "benchmarks" / "ucf101")
    with pytest.raises(FileNotFoundError, match=r"ucf101.*--benchmark ucf101 .*--no-probes"):
        study_xdc(tmp_path)
    assert not (tmp_path / "runs").exists()


def test_an_option_with_the_name_of_a_model_is_for_its_runs_alone_and_wins_there() -> None:
    options = ["--xdc.lr", "1", "--sbatch", "begin", "now", "--lr=2", "--mcn.lr=3", "--probes.x"]
    rest = ["--sbatch", "begin", "now", "--lr=2", "--probes.x"]
    assert _options_for("xdc-sdc", options) == [*rest, "--lr", "1"]
    assert _options_for("mcn", options) == [*rest, "--lr=3"]
    assert _options_for("mmv-fac", options) == rest
