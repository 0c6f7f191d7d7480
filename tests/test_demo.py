import filecmp
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from extractors.raw_corpus import RawCorpus
from jobs import evaluate, train
from jobs.probe_plan import PROBES
from mcn.evaluation.results import read_results
from mcn.models.trained import described_model
from mcn.models.xdc import TRAINED, Xdc
from mcn.probes.results import read_probes
from mcn.probes.settings import ProbeSettings
from mcn.root import REPOSITORY, Root
from mcn.training.checkpoint import load_checkpoint
from mcn.training.run_folder import RunFolder, read_metrics

ARGUMENTS = {
    "videos": 4,
    "benchmark-clips": 6,
    "class-clips": 6,
    "backbone": "resnet18",
    "stages": "AV_T",
    "stage1-epochs": 20,
    "stage2-epochs": 20,
    "mmv-epochs": 5,
}


def command(root: Path) -> list[str]:
    flags = [word for name, value in ARGUMENTS.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(REPOSITORY / "jobs" / "demo.py"), "--root", str(root), *flags]


def run_demo(root: Path) -> str:
    done = subprocess.run(command(root), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_demo_when(root: Path, is_time: Callable[[], bool]) -> None:
    with subprocess.Popen(
        command(root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not is_time():
            assert process.poll() is None, "the demo ended before it could be killed"
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def table_of(output: str) -> str:
    return output[output.index("text to video") : output.index("[95 % interval]")]


def contents(root: Path, *patterns: str) -> dict[str, bytes]:
    paths = [path for pattern in patterns for path in root.rglob(pattern)]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "undisturbed"
    (root.parent / "output.txt").write_text(run_demo(root))
    return root


@pytest.mark.slow
def test_the_demo_ends_with_a_report_of_every_row(undisturbed: Path) -> None:
    page = (undisturbed / "report" / "report.html").read_text()
    results = read_results(undisturbed / "runs" / "demo-AV_T-seed0" / "results.json")
    assert {k: v.num_queries for k, v in results.benchmarks.items()} == {
        "msrvtt": 6,
        "youcook2": 6,
    }
    assert "AV_T" in page and "shuffled" in page
    assert all(f"mmv-{space} AVT" in page for space in ("fac", "shared", "disjoint"))
    probes = page.partition("Probes: UCF101")[2].partition("</table>")[0]
    assert all(row in probes for row in ("AV_T", "mmv-fac AVT", "xdc-sdc", "xdc-xdc"))


@pytest.mark.slow
def test_every_broken_file_stands_in_the_report_with_its_reason(undisturbed: Path) -> None:
    report = (undisturbed / "report" / "report.md").read_text()
    lines = (undisturbed / "store" / "ledger" / "resize" / "00000.jsonl").read_text().splitlines()
    failed = {
        row["video_id"]: row["reason"] for row in map(json.loads, lines) if row["status"] != "done"
    }
    assert sorted(failed.values()) == ["empty", "truncated"]
    for video_id, reason in failed.items():
        row = next(line for line in report.splitlines() if video_id.strip("-_") in line)
        assert reason in row


@pytest.mark.slow
def test_run_again_the_demo_changes_nothing(undisturbed: Path) -> None:
    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}

    before = stamps()
    run_demo(undisturbed)
    assert stamps() == before


@pytest.mark.slow
def test_killed_in_every_step_the_demo_ends_with_the_same_bytes(
    undisturbed: Path, tmp_path: Path
) -> None:
    root = tmp_path / "killed"
    # The raw files are taken over: what is at stake are the steps that follow.
    root.mkdir()
    for name in ("demo.json", "HowTo100M_v1.csv", "captions", "raw", "benchmarks"):
        source = undisturbed / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("resized", "store", "manifest.csv")
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copy(source, root / name)

    resized = root / "resized"
    kill_demo_when(root, lambda: any(resized.glob("*.mp4")))
    assert not (root / "store" / "video-resnet18").exists()

    journals = root / "store" / "video-resnet18"
    kill_demo_when(root, lambda: any(f.stat().st_size > 8000 for f in journals.glob("*.journal")))
    assert not any(journals.glob("*.h5"))

    run = RunFolder(root / "runs" / "demo-AV_T-seed0")
    kill_demo_when(root, lambda: len(read_metrics(run.metrics)) > 5)
    assert not run.final.exists()

    output = run_demo(root)
    kinds = ("*.h5", "*.safetensors", "*.mp4", "results.json", "metrics.jsonl")
    assert contents(root, *kinds) == contents(undisturbed, *kinds)
    assert table_of(output) == table_of((undisturbed.parent / "output.txt").read_text())


RAW = {
    "--model": "xdc",
    "--inputs": "clips",
    "--gpus": 0,
    "--rounds": 2,
    "--epochs-per-round": 1,
    "--clips-per-video": 4,
    "--clip-seconds": 1.0,
    "--batch-size": 6,
    "--clusters": 3,
    "--pca-dim": 4,
    "--clip-frames": 4,
    "--picture-height": 32,
    "--picture-width": 40,
    "--picture-crop": 24,
    "--most-unread-percent": 40,
}
"""Twelve clips of the three videos with sound, so two steps a round."""


@pytest.mark.slow
def test_xdc_from_raw_clips_is_killed_and_resumed_with_the_same_bits(
    undisturbed: Path, tmp_path: Path
) -> None:
    for part in ("resized", "store/ledger/resize", "benchmarks/ucf101"):
        shutil.copytree(undisturbed / part, tmp_path / part)
    gone = min(RawCorpus.take(Root(tmp_path)).seconds)
    (tmp_path / "resized" / f"{gone}.mp4").unlink()  # which must not end the run

    def words(run: str, workers: int) -> list[str]:
        own = {"--root": tmp_path, "--run": run, "--loader-workers": workers}
        return [str(word) for pair in (RAW | own).items() for word in pair]

    train.main(train.parse(words("left-alone", 0)))
    left_alone, killed = (RunFolder(tmp_path / "runs" / name) for name in ("left-alone", "killed"))
    program = [sys.executable, str(REPOSITORY / "jobs" / "train.py"), *words("killed", 1)]
    program += ["--checkpoint-every-steps", "1"]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(read_metrics(killed.metrics)) < 3:  # in the second round
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.002)
        process.kill()
    assert not killed.final.exists()
    # What comes to the corpus later, or goes, is not this run's.
    (tmp_path / "store" / "ledger" / "resize" / "00000.jsonl").write_text("")
    train.main(train.parse(words("killed", 1)))
    assert killed.metrics.read_text() == left_alone.metrics.read_text()
    assert filecmp.cmp(killed.final, left_alone.final, shallow=False)

    saved = load_checkpoint(killed.final)
    model = described_model(saved.meta, saved.part("model")).eval()
    assert isinstance(model, Xdc) and model.pictures is not None
    corpus, folder = RawCorpus.read(killed.corpus), tmp_path / "resized"
    clips = corpus.clips(folder, model.pictures, clip_seconds=1.0, most_per_video=4)
    batch = clips.read(range(12))
    assert gone in killed.nonfinite_log.read_text() and set(batch.unread) == {gone}
    with torch.no_grad():
        for modality in TRAINED:
            features = model.features(batch, modality)
            assert features.shape == (12, 512) and features.isfinite().all()
            assert features[batch.has[modality]].any(dim=1).sum() == 8
    settings = ProbeSettings(ways="frozen", clips_per_video=1, folds=2)
    evaluate.main(evaluate.Arguments(root=tmp_path, runs=("killed",), task="probe", probe=settings))
    (ucf101,) = read_probes(killed.path / PROBES).benchmarks.values()
    splits = ucf101.of("frozen", "video")
    assert len(splits) == 3 and all(split.ranks and not split.missing for split in splits)
    for run in (left_alone, killed):
        run.final.unlink()  # half a gigabyte each


@pytest.mark.slow
def test_a_folder_with_other_data_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "other data" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
