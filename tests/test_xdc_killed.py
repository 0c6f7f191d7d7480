"""Runs of XDC that are killed, stopped, carried on and shared by ranks end with the same bits."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from jobs import evaluate, status
from mcn.clustering.engines import Engine
from mcn.data.batches import ClipBatch
from mcn.data.stored_clips import StoredClips
from mcn.modality import Modality
from mcn.models.xdc import Xdc
from mcn.root import REPOSITORY
from mcn.stop import StoppedEarlyError
from mcn.training.checkpoint import load_checkpoint
from mcn.training.distributed import patient_group
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.stepper import Stepper
from mcn.training.xdc import kept_features, loop, rounds
from mcn.training.xdc.clustering import Labels, cluster_all
from mcn.training.xdc.config import XdcConfig
from slurm.environment import STOPPED_EARLY
from slurm.local import run_ranks
from tests.stores import write_stores
from tests.xdc_runs import (
    CONFIG,
    NUM_VIDEOS,
    STEPS_PER_ROUND,
    train_here,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_stores(root / "store", num_videos=NUM_VIDEOS)
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> RunFolder:
    return train_here(root, "undisturbed")


def die_once(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, places: set[int]) -> None:
    """Have a function raise at some of its calls, counted over all runs, as a kill there would."""
    original: Callable[..., object] = getattr(owner, name)
    calls = iter(range(10**6))

    def mortal(*args: object, **kwargs: object) -> object:
        if next(calls) in places:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, mortal)


@pytest.mark.parametrize(
    ("owner", "name", "places"),
    [
        (Stepper, "take", {1, 7, 12, 19}),
        (rounds, "cluster_all", {0, 2}),
        (Xdc, "features", {3, 30, 40}),
        (Xdc, "renew_heads", {0, 2}),
    ],
    ids=["in-steps", "while-clustering", "while-extracting", "between"],
)
def test_a_run_killed_anywhere_ends_with_the_bytes_of_one_left_alone(
    root: Path,
    undisturbed: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    places: set[int],
) -> None:
    monkeypatch.setattr(kept_features, "SECONDS_BETWEEN_FILES", 0.0)
    die_once(monkeypatch, owner, name, places)
    for _ in places:
        with pytest.raises(KeyboardInterrupt):
            train_here(root, f"killed-{name}")
    run = train_here(root, f"killed-{name}")
    assert not list(run.path.glob("features-*"))
    assert run.final.read_bytes() == undisturbed.final.read_bytes()
    assert run.metrics.read_bytes() == undisturbed.metrics.read_bytes()


def test_what_was_extracted_before_a_kill_is_not_extracted_again(
    root: Path, undisturbed: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_features, "SECONDS_BETWEEN_FILES", 0.0)
    read: list[tuple[int, ...]] = []
    original = StoredClips.read

    def counted(self: StoredClips, numbers: range, *, draw: int | None = None) -> ClipBatch:
        if draw is None and len(numbers) > 1:
            read.append(tuple(numbers))
        return original(self, numbers, draw=draw)

    monkeypatch.setattr(StoredClips, "read", counted)
    die_once(monkeypatch, Xdc, "features", {4})  # of the third chunk
    with pytest.raises(KeyboardInterrupt):
        train_here(root, "extracting")
    read.clear()
    monkeypatch.setattr(Stepper, "take", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train_here(root, "extracting")
    assert [numbers[0] for numbers in read] == [32, 48, 64]


def stop_while_extracting(root: Path) -> None:
    """Be asked to stop in the first extraction; leaves with the status of the outcome."""
    features, calls = Xdc.features, iter(range(10**6))

    def asked(self: Xdc, batch: ClipBatch, modality: Modality) -> torch.Tensor:
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return features(self, batch, modality)

    pytest.MonkeyPatch().setattr(Xdc, "features", asked)
    try:
        train_here(root, "stopped")
    except StoppedEarlyError:
        os._exit(STOPPED_EARLY)
    os._exit(0)


def test_a_run_asked_to_stop_while_it_extracts_stops_there_and_carries_on(
    root: Path, undisturbed: RunFolder
) -> None:
    process = multiprocessing.get_context("fork").Process(target=stop_while_extracting, args=[root])
    process.start()
    process.join()
    assert process.exitcode == STOPPED_EARLY
    run = RunFolder(root / "runs" / "stopped")
    assert load_checkpoint(run.last).meta["step"] == 0 and not read_metrics(run.metrics)
    train_here(root, "stopped")
    assert run.final.read_bytes() == undisturbed.final.read_bytes()


def command(root: Path, *words: str) -> list[str]:
    sizes = {
        name.replace("_", "-"): str(value)
        for name, value in vars(CONFIG).items()
        if name not in ("model", "seed", "method")
    }
    options = [word for name, value in sizes.items() for word in (f"--{name}", value)]
    where = ["--root", str(root), "--gpus", "0", "--checkpoint-every-steps", "3"]
    script = str(REPOSITORY / "jobs" / "train.py")
    return [sys.executable, script, "--model", "xdc", *where, *options, *words]


@pytest.mark.slow
def test_the_command_trains_is_killed_and_carries_on_and_the_other_commands_know_its_run(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(root / "runs" / "xdc-cdc-seed0")
    words = ("--method", "cdc", "--rounds", "6")
    with subprocess.Popen(command(root, *words), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not any(row["step"] >= 11 for row in read_metrics(run.metrics)):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
    done = subprocess.run(command(root, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "xdc-cdc-seed0: trained, " in done.stdout
    assert (run.path / "snapshot.json").exists()
    config = replace(CONFIG, method="cdc", rounds=6)
    # As the command has it.
    alone = train_here(root, "cdc-alone", config, categories={}, clips_at_once=256)
    assert run.final.read_bytes() == alone.final.read_bytes()
    assert run.metrics.read_bytes() == alone.metrics.read_bytes()
    evaluate.main(evaluate.Arguments(root=root, runs=(run.path.name,)))
    assert "--task probe judges it" in capsys.readouterr().out
    status.main(status.Arguments(root=root, json=True))
    states = {row["run"]: row for row in json.loads(capsys.readouterr().out)["runs"]}
    assert (
        states[run.path.name]["is_finished"]
        and states[run.path.name]["step"] == 6 * STEPS_PER_ROUND
    )


# Several ranks.


def train_as_rank(root: Path, name: str) -> None:
    """With a rank 0 that clusters for longer than ranks wait for each other elsewhere."""

    def lose_patience() -> dist.ProcessGroup | None:
        group = patient_group()
        dist.distributed_c10d._set_pg_timeout(timedelta(seconds=6))
        return group

    def slow(
        config: XdcConfig, features: Any, round_number: int, device: torch.device, engine: Engine
    ) -> tuple[Labels, dict[str, float]]:
        time.sleep(8 if round_number == 1 else 0)
        return cluster_all(config, features, round_number, device, engine)

    patch = pytest.MonkeyPatch()
    patch.setattr(loop, "patient_group", lose_patience)
    patch.setattr(rounds, "cluster_all", slow)
    train_here(root, name)


@pytest.mark.slow
def test_two_ranks_train_what_one_trains_however_long_the_clustering_takes(
    root: Path, undisturbed: RunFolder
) -> None:
    run_ranks(partial(train_as_rank, root, "two-ranks"), num_ranks=2)
    two = load_checkpoint(RunFolder(root / "runs" / "two-ranks").final)
    one = load_checkpoint(undisturbed.final)
    for name, value in one.part("labels").items():
        assert two.part("labels")[name].equal(value)
    for name, value in one.part("model").items():
        torch.testing.assert_close(two.part("model")[name], value, atol=1e-5, rtol=1e-4, msg=name)
