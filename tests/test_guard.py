import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import Sampling, TrainingBatches
from mcn.modality import Modality
from mcn.models.mcn import Mcn, McnDims
from mcn.objectives import Stage
from mcn.store.reader import FeatureStore
from mcn.store.shard import open_shard
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime, TrainConfig
from mcn.training.guard import MOST_BATCHES_SAVED, Guard, nonfinite_summary
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.stage import StageTrainer
from slurm.local import run_ranks
from tests.configs import SMALL
from tests.published_runs import clusterer_of
from tests.stores import DIMS, FEATURES, write_stores

CONFIG = replace(SMALL, clips_per_video=5, stage1_epochs=4, stage2_epochs=2)
SKIP = Runtime(on_nonfinite="skip")


def edit_features(
    store: Path, modality: Modality, edit: Callable[[NDArray[np.float16], dict[str, slice]], None]
) -> None:
    """Change the rows of a sealed shard on disk, as imports and bad disks do."""
    (path,) = (store / getattr(FEATURES, modality)).glob("*.h5")
    dim = DIMS[modality]
    shard = open_shard(path)
    start, stop = shard.label.features
    rows = np.memmap(path, np.float16, "r+", start, ((stop - start) // (2 * dim), dim))
    videos = {
        entry["video_id"].decode(): slice(
            int(entry["first_row"]), int(entry["first_row"] + entry["num_rows"])
        )
        for entry in shard.index
    }
    edit(rows, videos)
    rows.flush()


def train_there(
    store: Path, name: str, config: TrainConfig = CONFIG, runtime: Runtime | None = None
) -> RunFolder:
    run = RunFolder(store.parent / "runs" / name)
    train(config, runtime or Runtime(), open_stores(store, FEATURES), run)
    return run


def assert_all_finite(run: RunFolder) -> None:
    for name, tensor in load_checkpoint(run.final).tensors.items():
        assert tensor.isfinite().all(), name
    for row in read_metrics(run.metrics):
        assert all(np.isfinite(value) for value in row.values()), row


# Broken features in the store.


def scale_repeat_and_break(
    broken: dict[str, float], rows: NDArray[np.float16], videos: dict[str, slice]
) -> None:
    """A thousand times as large; only four different videos; values that are not numbers."""
    rows[:] = np.clip(1000.0 * rows.astype(np.float32), -65504, 65504)
    kinds = list(videos.values())[:4]
    for number, place in enumerate(videos.values()):
        if place.stop > place.start:
            rows[place] = rows[kinds[number % 4]]
    for video_id, value in broken.items():
        rows[videos[video_id].start + 1, 3] = value


def test_large_dead_and_broken_features_leave_all_finite_and_the_videos_are_named(
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    write_stores(store)
    # Of 480 and 960 rows one per cent each.
    broken: dict[str, dict[str, float]] = {
        "video": {f"video0-{n:03d}": np.nan for n in (1, 5, 9, 13, 17)},
        "audio": {f"video0-{n:03d}": [np.nan, np.inf][n // 2 % 2] for n in range(1, 20, 2)},
    }
    edit_features(store, "video", partial(scale_repeat_and_break, broken["video"]))
    edit_features(store, "audio", partial(scale_repeat_and_break, broken["audio"]))
    # The user's settings, but for the length and the number of clips.
    config = TrainConfig(
        stage=Stage.AV_T,
        batch_size=8,
        stage1_epochs=2,
        stage2_epochs=2,
        min_clip_seconds=2.0,
        clusters=64,  # of 20 different clips
        queue_size=128,
        refit_every_steps=2,
    )
    assert config.embedding_dim == 2048
    run = train_there(store, "large-dead-broken", config)
    assert_all_finite(run)
    rows = read_metrics(run.metrics)
    assert {"loss/cluster/video", "loss/cluster/text"} <= {name for row in rows for name in row}

    named: dict[str, set[str]] = {modality: set() for modality in broken}
    for row in read_metrics(run.nonfinite_log):
        for modality, videos in row["kept_out"].items():
            assert set(videos.values()) == {1}  # one clip of each
            named[modality] |= set(videos)
    assert named == {modality: set(videos) for modality, videos in broken.items()}
    summary = nonfinite_summary(run.nonfinite_log)
    assert summary is not None and summary.startswith("0 steps left out, and clips of 10 videos")


def test_broken_features_change_nothing_for_the_other_clips(tmp_path: Path) -> None:
    sound, broken = tmp_path / "sound", tmp_path / "broken"
    for store in (sound, broken):
        write_stores(store, num_videos=6)

    def break_all(rows: NDArray[np.float16], videos: dict[str, slice]) -> None:
        rows[videos["video0-002"]] = np.nan

    def remove_all(rows: NDArray[np.float16], videos: dict[str, slice]) -> None:
        rows[videos["video0-002"]] = 0

    edit_features(broken, "audio", break_all)
    edit_features(sound, "audio", remove_all)
    batch = batches_of(broken)[0]
    without = batches_of(sound)[0]
    is_broken = torch.tensor([video_id == "video0-002" for video_id in batch.video_ids])
    assert batch.kept_out == {"video": {}, "audio": {"video0-002": 5}, "text": {}}
    assert without.num_kept_out == 0
    assert torch.equal(batch.has["audio"], without.has["audio"] & ~is_broken)
    assert torch.equal(batch.audio, without.audio)
    assert torch.equal(batch.video, without.video)


def break_video_1(store: Path, *modalities: Modality) -> None:
    def edit(rows: NDArray[np.float16], videos: dict[str, slice]) -> None:
        rows[videos["video0-001"]] = np.nan

    for modality in modalities:
        edit_features(store, modality, edit)


SINGLE_VIDEOS = replace(CONFIG, batch_size=1)


def train_on_single_videos(store: Path, name: str) -> None:
    train_there(store, name, SINGLE_VIDEOS, SKIP)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [("audio",), ("video", "audio")], ids="-".join)
def test_a_modality_that_no_clip_has_holds_up_no_rank(
    tmp_path: Path, broken: tuple[Modality, ...]
) -> None:
    store = tmp_path / "store"
    write_stores(store, num_videos=3)
    break_video_1(store, *broken)
    train_on_single_videos(store, "alone")
    run_ranks(partial(train_on_single_videos, store, "two-ranks"), num_ranks=2)
    alone, two = (RunFolder(tmp_path / "runs" / name) for name in ("alone", "two-ranks"))
    assert two.nonfinite_log.read_bytes() == alone.nonfinite_log.read_bytes()
    model = load_checkpoint(two.final).part("model")
    for name, value in load_checkpoint(alone.final).part("model").items():
        torch.testing.assert_close(model[name], value, atol=1e-4, rtol=1e-3, msg=name)


def test_a_batch_of_which_nothing_is_left_is_a_fault_of_its_features(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_stores(store, num_videos=3)
    break_video_1(store, "video", "audio")
    with pytest.raises(
        FloatingPointError, match="features of video not finite, in videos video0-001"
    ):
        train_there(store, "stops", SINGLE_VIDEOS)
    run = train_there(store, "skips", SINGLE_VIDEOS, SKIP)
    assert_all_finite(run)
    skipped = [row for row in read_metrics(run.nonfinite_log) if "skipped" in row]
    assert [row["skipped"]["video_ids"] for row in skipped] == [["video0-001"]] * 4


# Steps that go wrong although all features are finite.


class Overflowing(FeatureStore):
    """Gives one video features that float32 can hold, but not their squares."""

    def read(
        self, video_id: str, first_row: int = 0, stop_row: int | None = None, **how: Any
    ) -> NDArray[Any]:
        rows = super().read(video_id, first_row, stop_row, **how)
        return rows.astype(np.float32) * 1e36 if video_id == "video0-020" else rows


# Of the first batch, which the video is not in.
OVERFLOWING = replace(CONFIG, statistics_batches=1)


def train_on_overflowing(store: Path, name: str, runtime: Runtime) -> RunFolder:
    stores = open_stores(store, FEATURES)
    stores["video"] = Overflowing(store / FEATURES.video)
    run = RunFolder(store.parent / "runs" / name)
    train(OVERFLOWING, runtime, stores, run)
    return run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("root") / "store"
    write_stores(store)
    return store


@pytest.fixture(scope="module")
def skipping(store: Path) -> RunFolder:
    return train_on_overflowing(store, "skipping", SKIP)


def steps_with(store: Path, video_id: str) -> list[int]:
    batches = batches_of(store)
    return [step for step in range(18) if video_id in batches[step].video_ids]


def batches_of(store: Path) -> TrainingBatches:
    sampling = Sampling(
        seed=CONFIG.seed,
        batch_size=CONFIG.batch_size,
        clips_per_video=CONFIG.clips_per_video,
        min_clip_seconds=CONFIG.min_clip_seconds,
        max_words=CONFIG.max_words,
        shuffled_captions=False,
    )
    return TrainingBatches(ClipReader(open_stores(store, FEATURES)), sampling)


def test_a_run_stops_at_the_first_step_that_goes_wrong_and_says_all(store: Path) -> None:
    (first, *_) = steps_with(store, "video0-020")
    said = rf"step {first}: reconstruction of video not finite, in videos video0-020; the batch is"
    with pytest.raises(FloatingPointError, match=said) as stopped:
        train_on_overflowing(store, "stopping", Runtime())
    run = RunFolder(store.parent / "runs" / "stopping")
    assert "--on-nonfinite skip" in str(stopped.value)
    saved = load_checkpoint(run.nonfinite_batches / f"step{first:06d}-rank0.safetensors")
    own = [video_id == "video0-020" for video_id in saved.meta["video_of_each_clip"]]
    assert (saved.tensors["video"].abs().amax(dim=1) > 1e35).tolist() == own
    described = json.loads((run.nonfinite_batches / f"step{first:06d}-rank0.json").read_text())
    assert described == saved.meta
    assert [row["step"] for row in read_metrics(run.metrics)] == list(range(first))


def test_steps_that_go_wrong_are_left_out_and_counted(store: Path, skipping: RunFolder) -> None:
    wrong = steps_with(store, "video0-020")
    # The second stage does not train on reconstruction of video, nor does anything overflow.
    wrong_in_stage1 = [step for step in wrong if step < 12]
    assert_all_finite(skipping)
    rows = read_metrics(skipping.metrics)
    assert [row["step"] for row in rows] == list(range(18))
    assert [row["step"] for row in rows if "skipped" in row] == wrong_in_stage1
    recorded = read_metrics(skipping.nonfinite_log)
    assert [row["step"] for row in recorded] == wrong_in_stage1
    assert {row["skipped"]["what"] for row in recorded} == {"reconstruction"}


def test_a_stopped_run_carried_on_with_skip_is_one_that_skipped_from_the_beginning(
    store: Path, skipping: RunFolder
) -> None:
    saving = Runtime(checkpoint_every_steps=2)
    with pytest.raises(FloatingPointError):
        train_on_overflowing(store, "carried-on", saving)
    run = train_on_overflowing(store, "carried-on", SKIP)
    assert run.final.read_bytes() == skipping.final.read_bytes()
    assert run.metrics.read_bytes() == skipping.metrics.read_bytes()
    assert run.nonfinite_log.read_bytes() == skipping.nonfinite_log.read_bytes()


def skip_as_rank(store: Path) -> None:
    train_on_overflowing(store, "two-ranks", SKIP)


@pytest.mark.slow
def test_a_step_wrong_on_one_rank_is_left_out_on_both(store: Path, skipping: RunFolder) -> None:
    run_ranks(partial(skip_as_rank, store), num_ranks=2)
    run = RunFolder(store.parent / "runs" / "two-ranks")
    assert run.nonfinite_log.read_bytes() == skipping.nonfinite_log.read_bytes()
    two = load_checkpoint(run.final).part("model")
    for name, value in load_checkpoint(skipping.final).part("model").items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-4, msg=name)
    ranks = [path.name.split("-")[1] for path in run.nonfinite_batches.glob("*.safetensors")]
    assert sorted(set(ranks)) == ["rank0.safetensors", "rank1.safetensors"]


def test_a_run_in_which_every_step_goes_wrong_does_not_go_on_for_ever(store: Path) -> None:
    with pytest.raises(FloatingPointError, match="3 steps left out in a row"):
        train_there(store, "hopeless", replace(CONFIG, lr=1e30), SKIP)


# Single steps.


def trainer_of(store: Path, config: TrainConfig = CONFIG) -> tuple[StageTrainer, TrainingBatches]:
    batches = batches_of(store)
    model = Mcn(McnDims(**DIMS, embedding=config.embedding_dim, reconstruction=16))
    model.know_words(batches.reader.word_vectors)
    trainer = StageTrainer(config, config.stage.value[0], model, num_steps=100)
    return trainer, batches


def state_of(trainer: StageTrainer) -> dict[str, torch.Tensor]:
    optimizer = {k: v for k, v in trainer.state().items() if k.startswith("optimizer.")}
    model: dict[str, torch.Tensor] = trainer.model.state_dict()
    return {k: v.clone() for k, v in {**model, **optimizer}.items()}


@pytest.mark.parametrize(
    "value, what", [(np.nan, "features"), (3e38, "embeddings"), (1e30, "reconstruction")]
)
def test_a_step_that_goes_wrong_leaves_weights_and_moments_as_they_were(
    store: Path, value: float, what: str
) -> None:
    trainer, batches = trainer_of(store)
    assert trainer.step(batches[0], 0).fault is None
    before = state_of(trainer)
    batch = batches[1]
    wrong = {batch.video_ids[7], batch.video_ids[-1]}
    rows = torch.tensor([video_id in wrong for video_id in batch.video_ids])
    broken = replace(batch, video=torch.where(rows[:, None], value, batch.video))
    fault = trainer.step(broken, 1).fault
    assert fault is not None
    assert (fault.what, fault.modality, set(fault.video_ids)) == (what, "video", wrong)
    after = state_of(trainer)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    # What was wrong has left nothing behind, in the queue neither.
    assert clusterer_of(trainer).state()["queue"].isfinite().all()
    result = trainer.step(batches[1], 1)
    assert result.fault is None
    assert not torch.equal(
        before["encoders.video.gated.fc.weight"],
        state_of(trainer)["encoders.video.gated.fc.weight"],
    )


@pytest.mark.parametrize("weight, what", [(1e30, "gradient"), (1e39, "term")])
def test_a_term_or_gradient_that_overflows_is_named(store: Path, weight: float, what: str) -> None:
    trainer, batches = trainer_of(store, replace(CONFIG, contrastive_weight=weight))
    fault = trainer.step(batches[0], 0).fault
    assert fault is not None
    assert (fault.what, fault.name) == (what, "loss/mms/video-audio")
    assert set(fault.video_ids) <= set(batches[0].video_ids)


def test_broken_weights_are_named_and_end_the_run_in_any_case(store: Path, tmp_path: Path) -> None:
    trainer, batches = trainer_of(store)
    with torch.no_grad():
        trainer.model.get_parameter("encoders.audio.projection.bias")[3] = torch.nan
    batch = batches[0]
    result = trainer.step(batch, 0)
    assert result.fault is not None
    assert (result.fault.what, result.fault.name) == ("weights", "encoders.audio.projection.bias")
    with pytest.raises(FloatingPointError, match="begin the run anew"):
        guard_of(tmp_path, "skip").look(batch, result, step=0, stage=0)


def guard_of(path: Path, on_nonfinite: str) -> Guard:
    return Guard(
        RunFolder(path),
        "skip" if on_nonfinite == "skip" else "stop",
        torch.device("cpu"),
        first_step=0,
        num_steps=10_000,
        skipped_in_a_row=0,
    )


def test_only_the_first_batches_that_go_wrong_are_saved(store: Path, tmp_path: Path) -> None:
    trainer, batches = trainer_of(store)
    batch = batches[0]
    result = trainer.step(replace(batch, video=batch.video * torch.nan), 0)
    guard = guard_of(tmp_path, "skip")
    for step in range(MOST_BATCHES_SAVED + 5):
        guard.look(batch, result, step=step, stage=0)
    assert len(list((tmp_path / "nonfinite").glob("*.safetensors"))) == MOST_BATCHES_SAVED
    assert len(read_metrics(tmp_path / "nonfinite.jsonl")) == MOST_BATCHES_SAVED + 5
