import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from mcn.data.stores import open_stores
from mcn.evaluation.retrieval import retrieval_metrics
from mcn.evaluation.zero_shot import embed_benchmark, load_model
from mcn.objectives import Stage
from mcn.root import REPOSITORY
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime, TrainConfig
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder, read_metrics
from slurm.local import run_ranks
from tests.configs import SMALL
from tests.stores import FEATURES, write_stores

NUM_STEPS = 30


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_stores(root / "store")
    write_stores(root / "heldout", num_videos=12, seed=1)
    return root


def train_here(
    root: Path, name: str, config: TrainConfig = SMALL, runtime: Runtime | None = None
) -> RunFolder:
    run = RunFolder(root / "runs" / name)
    train(config, runtime or Runtime(), open_stores(root / "store", FEATURES), run)
    return run


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> RunFolder:
    return train_here(root, "undisturbed")


def test_a_run_leaves_its_config_its_metrics_and_its_final_checkpoint(
    undisturbed: RunFolder,
) -> None:
    assert sorted(path.name for path in undisturbed.path.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "metrics.jsonl",
        "tensorboard",
    ]
    assert [path.name for path in (undisturbed.path / "checkpoints").iterdir()] == [
        "final.safetensors"
    ]
    rows = read_metrics(undisturbed.metrics)
    assert [row["step"] for row in rows] == list(range(NUM_STEPS))
    assert [row["stage"] for row in rows] == [1] * 18 + [2] * 12
    assert {name for name in rows[0] if "/" in name} == {
        "loss/mms/video-audio",
        *(f"loss/{kind}/{m}" for kind in ("cluster", "reconstruction") for m in ("video", "audio")),
        *(f"clustering/{name}" for name in ("empty", "entropy", "inertia")),
    }
    refits = [row["step"] for row in rows if "clustering/nmi" in row]
    assert refits == [5, 10, 15, 23, 28]  # each stage begins with centroids of its own
    assert "loss/mms/video-text" in rows[-1]


@pytest.mark.parametrize("stage", Stage)
def test_every_order_finds_unseen_clips_far_above_chance(root: Path, stage: Stage) -> None:
    config = replace(SMALL, stage=stage, stage1_epochs=20, stage2_epochs=15)
    run = train_here(root, f"learns-{stage.name}", config)
    model = load_model(load_checkpoint(run.final))
    heldout = embed_benchmark(model, open_stores(root / "heldout", FEATURES), max_words=20)
    metrics = retrieval_metrics(heldout.similarity("t2va"))
    assert metrics["R@10"] > 0.4, f"{metrics}; chance is {10 / len(heldout.video_ids)}"


def test_products_in_half_precision_learn_as_well(root: Path, undisturbed: RunFolder) -> None:
    config = replace(SMALL, precision="bf16", stage1_epochs=20, stage2_epochs=15)
    run = train_here(root, "bf16", config)
    model = load_model(load_checkpoint(run.final))
    heldout = embed_benchmark(model, open_stores(root / "heldout", FEATURES), max_words=20)
    assert retrieval_metrics(heldout.similarity("t2va"))["R@10"] > 0.4
    first, exact = (read_metrics(r.metrics)[0]["loss"] for r in (run, undisturbed))
    assert first != exact and first == pytest.approx(exact, rel=0.01)


def test_with_the_captions_of_other_videos_nothing_is_found(root: Path) -> None:
    config = replace(SMALL, stage1_epochs=20, stage2_epochs=15, control="shuffled-captions")
    run = train_here(root, "control", config)
    model = load_model(load_checkpoint(run.final))
    heldout = embed_benchmark(model, open_stores(root / "heldout", FEATURES), max_words=20)
    assert retrieval_metrics(heldout.similarity("t2va"))["R@10"] < 0.35


def test_the_second_stage_leaves_the_first_modalities_as_they_were(root: Path) -> None:
    stage1 = replace(SMALL, stage2_epochs=0)
    first = load_checkpoint(train_here(root, "stage1-only", stage1).final).part("model")
    both = load_checkpoint(train_here(root, "undisturbed").final).part("model")
    for name, value in both.items():
        is_text = name.split(".")[1] == "text" and "standardize" not in name
        assert torch.equal(value, first[name]) != is_text, name


def test_a_complete_run_is_left_alone(undisturbed: RunFolder, root: Path) -> None:
    files = [path for path in undisturbed.path.rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    train_here(root, "undisturbed")
    after = [path for path in undisturbed.path.rglob("*") if path.is_file()]
    assert {path: path.stat().st_mtime_ns for path in after} == before


def command(root: Path, run: str) -> list[str]:
    flags = {
        "root": root,
        "run": run,
        "gpus": 0,
        "stage": "AV_T",
        "checkpoint-every-steps": 4,
        **{
            name.replace("_", "-"): value
            for name, value in vars(SMALL).items()
            if name not in ("stage", "control")
        },
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(REPOSITORY / "jobs" / "train.py"), *words]


def wait_for_step(run: RunFolder, step: int) -> None:
    deadline = time.monotonic() + 600
    while not any(row["step"] >= step for row in read_metrics(run.metrics)):
        assert time.monotonic() < deadline, "the run makes no steps"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 13, 25])
def test_a_killed_run_ends_with_the_bytes_of_one_left_alone(
    root: Path, undisturbed: RunFolder, step: int
) -> None:
    for attempt in range(10):  # where this process is slow the run ends before it is killed
        run = RunFolder(root / "runs" / f"killed-{step}-{attempt}")
        with subprocess.Popen(command(root, run.path.name), stderr=subprocess.DEVNULL) as process:
            wait_for_step(run, step)
            process.kill()
        if not run.final.exists():
            break
    assert process.returncode == -signal.SIGKILL
    assert not run.final.exists()
    train_here(root, run.path.name)
    assert run.final.read_bytes() == undisturbed.final.read_bytes()
    assert run.metrics.read_bytes() == undisturbed.metrics.read_bytes()


@pytest.mark.slow
def test_a_run_asked_to_stop_saves_and_says_how_to_carry_on(
    root: Path, undisturbed: RunFolder
) -> None:
    run = RunFolder(root / "runs" / "stopped")
    with subprocess.Popen(
        command(root, "stopped"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_step(run, 6)
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate()
    assert process.returncode == 75
    assert "the same command carries on" in complaint
    saved = load_checkpoint(run.last).meta["step"]
    assert len(read_metrics(run.metrics)) == saved
    train_here(root, "stopped")
    assert run.final.read_bytes() == undisturbed.final.read_bytes()


def train_as_rank(root: Path) -> None:
    train_here(root, "two-ranks")


@pytest.mark.slow
def test_two_ranks_train_what_one_trains(root: Path, undisturbed: RunFolder) -> None:
    run_ranks(partial(train_as_rank, root), num_ranks=2)
    two = load_checkpoint(RunFolder(root / "runs" / "two-ranks").final).part("model")
    for name, value in load_checkpoint(undisturbed.final).part("model").items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_batches_read_by_workers_are_the_same(root: Path, undisturbed: RunFolder) -> None:
    run = train_here(root, "workers", runtime=Runtime(loader_workers=2))
    assert run.final.read_bytes() == undisturbed.final.read_bytes()


def test_a_folder_of_another_run_is_refused_with_what_differs(
    root: Path, undisturbed: RunFolder
) -> None:
    with pytest.raises(ValueError, match=r"train\.lr: 0\.001 there, 0\.5 asked for"):
        train_here(root, "undisturbed", replace(SMALL, lr=0.5))


def test_a_run_that_diverges_stops_and_says_where(root: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"step \d+: embeddings of \w+ .*video0-0"):
        train_here(root, "diverged", replace(SMALL, lr=1e30))
