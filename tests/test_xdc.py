"""Runs of XDC on stored features: what they leave, that they learn, and bad input."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from jobs.train import parse
from mcn.data.batches import ClipBatch
from mcn.data.stored_clips import StoredClips
from mcn.evaluation.nothing import model_of
from mcn.models.trained import described_model
from mcn.models.xdc import Xdc
from mcn.objectives import TERMS
from mcn.training.checkpoint import load_checkpoint
from mcn.training.fault import find_kept_out
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.xdc import kept_features
from mcn.training.xdc.config import Method, XdcConfig
from tests.stores import ids_of_stores, write_stores
from tests.test_guard import edit_features
from tests.xdc_runs import (
    CONFIG,
    NUM_CLIPS,
    NUM_VIDEOS,
    STEPS_PER_ROUND,
    clips_of,
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
            assert f"clustering/reseeded/{modality}" in row
            assert 0 <= row[f"clustering/nmi-categories/{modality}"] <= 1
            assert (f"clustering/nmi-last/{modality}" in row) == (number > 0)
    assert not list(undisturbed.path.glob("features-*"))


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


def unread_of(batch: ClipBatch, video_id: str) -> ClipBatch:
    """The same batch, had the file of a video not been readable."""
    lacks = torch.tensor([v == video_id for v in batch.video_ids])
    return replace(
        batch,
        has={m: has & ~lacks for m, has in batch.has.items()},
        kept_out={m: {video_id: int(lacks.sum())} if lacks.any() else {} for m in batch.has},
        unread={video_id: "its disk is away"} if lacks.any() else {},
    )


def test_too_many_clips_that_cannot_be_read_end_the_run_and_are_read_when_it_carries_on(
    root: Path, undisturbed: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls, gone = StoredClips.read, iter(range(10**6)), ids_of_stores(NUM_VIDEOS)[2]

    def failing(self: StoredClips, numbers: Sequence[int], *, draw: int | None = None) -> ClipBatch:
        batch = read(self, numbers, draw=draw)
        return unread_of(batch, gone) if next(calls) >= 6 else batch  # after its beginning

    monkeypatch.setattr(kept_features, "SECONDS_BETWEEN_FILES", 0.0)
    with monkeypatch.context() as away:
        away.setattr(StoredClips, "read", failing)
        problem = rf"5 of 80 clips .* 1 %, as {gone}: its disk is away.*--most-unread-percent 7"
        with pytest.raises(ValueError, match=problem):
            train_here(root, "away")
    run = train_here(root, "away")
    assert run.final.read_bytes() == undisturbed.final.read_bytes()


def test_a_batch_that_cannot_be_read_is_not_called_one_that_is_not_finite(root: Path) -> None:
    batch = clips_of(root).read(range(5))
    unread = unread_of(batch, batch.video_ids[0])
    said = str(find_kept_out(unread, torch.device("cpu")))
    assert said == f"video could not be read, of videos {batch.video_ids[0]}"
    broken = replace(unread, unread={})
    assert "features of video not finite" in str(find_kept_out(broken, torch.device("cpu")))


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
    assert replace(CONFIG, method="sdc").model_name == "xdc-sdc"
    with pytest.raises(ValueError, match=r"train\.method: 'xdc' there, 'sdc' asked for"):
        train_here(root, "undisturbed", replace(CONFIG, method="sdc"))


def test_raw_clips_are_in_the_name_of_what_is_trained_on_them() -> None:
    config = XdcConfig(method="cdc", inputs="clips", seed=2)
    assert config.model_name == model_of(vars(config)) == "xdc-cdc-clips"
    assert config.name == "xdc-cdc-clips-seed2" and config.terms == TERMS["xdc-cdc"]
    assert model_of(vars(CONFIG)) == CONFIG.model_name == "xdc-xdc"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"inputs": "clips", "out_dim": 128}, "--out-dim 128 is of --inputs features"),
        ({"inputs": "clips", "hidden_dim": 128}, "--hidden-dim 128 is of --inputs features"),
        ({"clip_frames": 8}, "--clip-frames 8 is of --inputs clips"),
        ({"picture_crop": 8}, "--picture-crop 8 is of --inputs clips"),
        ({"shift_seconds": 0.0}, "--shift-seconds 0.0 is of --inputs clips"),
        ({"video_weights": "x.pt"}, "--video-weights x.pt is of --inputs clips"),
        ({"seed": -1}, "seed is -1 and must not be negative"),
    ],
)
def test_options_that_decide_nothing_are_refused(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        XdcConfig(**asked)


def test_the_demo_trains_on_raw_clips_without_the_sizes_of_features() -> None:
    parsed = parse(["--model", "xdc", "--preset", "demo", "--inputs", "clips"])
    assert isinstance(parsed.config, XdcConfig) and parsed.config.inputs == "clips"
    assert (parsed.config.clusters, parsed.config.out_dim) == (16, XdcConfig().out_dim)


@pytest.mark.parametrize("method", ["sdc", "mdc", "cdc"])
def test_every_method_trains(root: Path, method: Method) -> None:
    rows = read_metrics(train_here(root, method, replace(CONFIG, method=method, rounds=1)).metrics)
    assert rows[-1]["loss"] < rows[0]["loss"]
