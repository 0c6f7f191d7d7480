"""Runs of XDC on stored features: what they leave, that they learn, and that they can be killed."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from jobs import evaluate, status
from mcn.data.batches import ClipBatch
from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import StoredClips, clips_with_both
from mcn.data.stores import WITHOUT_WORDS, fingerprints_of, open_stores
from mcn.modality import Modality
from mcn.models.trained import described_model
from mcn.models.xdc import Xdc
from mcn.root import REPOSITORY
from mcn.stop import StoppedEarlyError
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime
from mcn.training.distributed import patient_group
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.stepper import Stepper
from mcn.training.xdc import extraction, kept_features, loop, rounds
from mcn.training.xdc.clustering import Labels, cluster_all
from mcn.training.xdc.config import Method, XdcConfig
from mcn.training.xdc.loop import train_xdc
from slurm.environment import STOPPED_EARLY
from slurm.local import run_ranks
from tests.stores import FEATURES, ids_of_stores, write_stores
from tests.test_guard import edit_features

CONFIG = XdcConfig(
    clusters=6,
    rounds=3,
    epochs_per_round=2,
    batch_size=24,
    clip_seconds=4.0,
    clips_per_video=5,
    pca_dim=4,
    hidden_dim=32,
    out_dim=16,
)
NUM_VIDEOS = 17
NUM_CLIPS = 5 * (NUM_VIDEOS - 1)  # the last video has no sound
STEPS_PER_ROUND = 2 * 4
OFTEN = Runtime(checkpoint_every_steps=3, loader_workers=0)
CATEGORIES = {video_id: video_id[-1] for video_id in ids_of_stores(NUM_VIDEOS)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_stores(root / "store", num_videos=NUM_VIDEOS)
    return root


def clips_of(root: Path, config: XdcConfig = CONFIG) -> StoredClips:
    reader = MediaReader(open_stores(root / "store", FEATURES, sources=WITHOUT_WORDS))
    return clips_with_both(
        reader, clip_seconds=config.clip_seconds, most_per_video=config.clips_per_video
    )


def train_here(
    root: Path,
    name: str,
    config: XdcConfig = CONFIG,
    categories: Mapping[str, str] = CATEGORIES,
) -> RunFolder:
    run = RunFolder(root / "runs" / name)
    clips = clips_of(root, config)
    data = fingerprints_of(clips.reader.stores)
    train_xdc(config, OFTEN, clips, run, data=data, categories=categories)
    return run


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> RunFolder:
    return train_here(root, "undisturbed")


@pytest.fixture(scope="module", autouse=True)
def few_clips_at_once() -> None:
    """So that a set of some dozen clips is several chunks."""
    extraction.CLIPS_AT_ONCE = 16


def test_a_run_records_every_step_and_at_each_clustering_its_health(
    undisturbed: RunFolder,
) -> None:
    rows = read_metrics(undisturbed.metrics)
    assert [row["step"] for row in rows] == list(range(3 * STEPS_PER_ROUND))
    assert [row["round"] for row in rows] == sorted([1, 2, 3] * STEPS_PER_ROUND)
    assert {name for name in rows[1] if "/" in name} == {
        "loss/pseudo-label/video-by-audio",
        "loss/pseudo-label/audio-by-video",
    }
    clustered = [row for row in rows if "clustering/nmi-between/video-audio" in row]
    assert [row["step"] for row in clustered] == [0, STEPS_PER_ROUND, 2 * STEPS_PER_ROUND]
    for number, row in enumerate(clustered):
        for modality in ("video", "audio"):
            assert row[f"clustering/clips/{modality}"] == NUM_CLIPS
            assert 0 <= row[f"clustering/entropy/{modality}"] <= 1
            assert f"clustering/empty/{modality}" in row
            assert 0 <= row[f"clustering/nmi-categories/{modality}"] <= 1
            assert (f"clustering/nmi-last/{modality}" in row) == (number > 0)
    assert not (undisturbed.path / "features").exists()


def test_the_checkpoint_brings_back_the_model_and_the_labels_of_the_last_round(
    root: Path, undisturbed: RunFolder
) -> None:
    saved = load_checkpoint(undisturbed.final)
    model = described_model(saved.meta, saved.part("model"))
    assert isinstance(model, Xdc)
    labels = saved.part("labels")
    assert labels.keys() == {"video", "audio"} and saved.meta["round"] == 2
    assert all(
        len(of) == NUM_CLIPS and of.unique().tolist() == [0, 1, 2, 3, 4, 5]
        for of in labels.values()
    )
    batch = clips_of(root).read(range(NUM_CLIPS))
    with torch.no_grad():
        features = model.eval().features(batch, "video")
    assert features.shape == (NUM_CLIPS, CONFIG.out_dim) and features.std(dim=0).min() > 0


def test_the_loss_falls_in_every_round_and_the_clusterings_of_two_modalities_come_to_agree(
    root: Path,
) -> None:
    config = replace(CONFIG, lr=1e-2, rounds=2, epochs_per_round=6)
    rows = read_metrics(train_here(root, "longer", config).metrics)
    for number in (1, 2):
        losses = [row["loss"] for row in rows if row["round"] == number]
        assert np.mean(losses[-4:]) < 0.6 * losses[0]
    name = "clustering/nmi-between/video-audio"
    first, second = (row[name] for row in rows if name in row)
    assert second > first + 0.05


# Killed and carried on.


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
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
    monkeypatch.setattr(extraction, "CLIPS_AT_ONCE", 256)  # as the command has it
    alone = train_here(root, "cdc-alone", replace(CONFIG, method="cdc", rounds=6), categories={})
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
    extraction.CLIPS_AT_ONCE = 16

    def lose_patience() -> dist.ProcessGroup | None:
        group = patient_group()
        dist.distributed_c10d._set_pg_timeout(timedelta(seconds=6))
        return group

    def slow(
        config: XdcConfig, features: Any, round_number: int, device: torch.device
    ) -> tuple[Labels, dict[str, float]]:
        time.sleep(8 if round_number == 1 else 0)
        return cluster_all(config, features, round_number, device)

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


# Bad input.


def test_clips_that_are_not_finite_are_in_no_cluster_and_on_record(tmp_path: Path) -> None:
    write_stores(tmp_path / "store", num_videos=NUM_VIDEOS)
    broken = ids_of_stores(NUM_VIDEOS)[2]

    def break_one(rows: NDArray[np.float16], videos: dict[str, slice]) -> None:
        rows[videos[broken].start + 5] = np.nan  # in the second clip

    edit_features(tmp_path / "store", "video", break_one)
    run = train_here(tmp_path, "broken")
    labels = load_checkpoint(run.final).part("labels")
    assert (labels["video"] < 0).nonzero().flatten().tolist() == [11]
    assert (labels["audio"] >= 0).all()
    rows = read_metrics(run.metrics)
    assert rows[0]["clustering/clips/video"] == NUM_CLIPS - 1
    noted = read_metrics(run.nonfinite_log)
    assert noted == [
        {"step": number * STEPS_PER_ROUND, "stage": 1, "kept_out": {"video": {broken: 1}}}
        for number in range(3)
    ]


def test_more_clusters_than_clips_is_an_error_that_says_what_to_do(root: Path) -> None:
    with pytest.raises(ValueError, match=r"--clusters 81: there are 80 clips; give fewer"):
        train_here(root, "many", replace(CONFIG, clusters=81))


def test_more_clusters_than_clips_with_a_modality_is_one_too(tmp_path: Path) -> None:
    write_stores(tmp_path / "store", num_videos=3)  # of which the last has no sound

    def break_first(rows: NDArray[np.float16], videos: dict[str, slice]) -> None:
        rows[videos[ids_of_stores(3)[0]]] = np.nan

    edit_features(tmp_path / "store", "audio", break_first)
    with pytest.raises(ValueError, match=r"--clusters 6: only 5 of 10 clips have audio"):
        train_here(tmp_path, "few")


def test_a_step_that_is_not_finite_stops_the_run_and_says_where(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FloatingPointError, match=r"step \d+: .* not finite, in videos video0-0"):
        train_here(root, "diverged", replace(CONFIG, lr=1e30))


def test_a_run_of_another_method_has_another_folder_and_is_not_taken_for_it(
    root: Path, undisturbed: RunFolder
) -> None:
    assert replace(CONFIG, method="sdc", seed=3).name == "xdc-sdc-seed3"
    with pytest.raises(ValueError, match=r"train\.method: 'xdc' there, 'sdc' asked for"):
        train_here(root, "undisturbed", replace(CONFIG, method="sdc"))


@pytest.mark.parametrize("method", ["sdc", "mdc", "cdc"])
def test_every_method_trains(root: Path, method: Method) -> None:
    rows = read_metrics(train_here(root, method, replace(CONFIG, method=method, rounds=1)).metrics)
    assert rows[-1]["loss"] < rows[0]["loss"]
