"""A DAVEnet that is trained with the rest: ranks, resuming, freezing, faults and evaluation."""

import math
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mcn.data.batches import ClipBatch, Clips
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.evaluation.seconds import AUDIO_SECONDS, MOST_SPECTROGRAM_FRAMES, read_seconds
from mcn.evaluation.zero_shot import embed_benchmark, evaluated_reader, load_model
from mcn.models.davenet import Davenet, ResDavenet
from mcn.models.published import AvlNet
from mcn.objectives import Stage
from mcn.stop import StoppedEarlyError
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime, TrainConfig
from mcn.training.distributed import process_group, rank, world_size
from mcn.training.loop import train
from mcn.training.model import load_davenet, new_model
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.stage import StageTrainer
from slurm.local import run_ranks
from tests.configs import SMALL
from tests.published_runs import SAMPLING
from tests.stores import SPECTROGRAMS, ids_of_stores, write_spectrograms, write_stores

CONFIG = replace(
    SMALL,
    batch_size=4,
    clips_per_video=2,
    stage1_epochs=1,
    stage2_epochs=1,
    lr=1e-4,
    embedding_dim=8,
    reconstruction_dim=4,
    audio_encoder="davenet",
    audio_frames=16,
    clusters=4,
    queue_size=16,
)
NUM_VIDEOS = 7


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("root") / "store"
    write_stores(store, num_videos=NUM_VIDEOS)
    write_spectrograms(store, ids_of_stores(NUM_VIDEOS))
    return store


def stage_here(
    store: Path, config: TrainConfig, *, stage: int = 0
) -> tuple[StageTrainer, TrainingBatches]:
    """A stage before its first step, and this rank's share of batches in which a video lacks
    sound.
    """
    reader = ClipReader(open_stores(store, SPECTROGRAMS), config.form)
    sampling = replace(SAMPLING, batch_size=NUM_VIDEOS, clips_per_video=2)
    shares = TrainingBatches(reader, sampling, rank=rank(), world_size=world_size())
    model = new_model(config, reader.dims)
    model.know_words(reader.word_vectors)
    return StageTrainer(config, config.stage.value[stage], model, num_steps=10), shares


RESIDUAL = replace(CONFIG, audio_encoder="resdavenet")


def outcome(store: Path) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of a step, and the statistics of batch norms after it."""
    trainer, shares = stage_here(store, replace(RESIDUAL, stage=Stage.AVT))
    loss = trainer.step(shares[0], 0).loss
    model = trainer.model
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return loss, {**gradients, **dict(model.named_buffers())}


def step_as_rank(store: Path) -> None:
    with process_group():
        torch.save(outcome(store), store.parent / f"rank{os.environ['RANK']}.pt")


@pytest.mark.slow
def test_two_ranks_have_loss_gradients_and_batch_norms_of_one(store: Path) -> None:
    loss, expected = outcome(store)
    run_ranks(partial(step_as_rank, store), num_ranks=2)
    for number in range(2):
        loss_there, found = torch.load(store.parent / f"rank{number}.pt")
        assert loss_there == pytest.approx(loss, rel=1e-5)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            scale = float(value.abs().max())
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-3 * scale, msg=name)


@pytest.fixture(scope="module")
def undisturbed(store: Path) -> RunFolder:
    return train_there(store, "undisturbed")


def train_there(store: Path, name: str) -> RunFolder:
    run = RunFolder(store.parent / "runs" / name)
    train(CONFIG, Runtime(), open_stores(store, SPECTROGRAMS), run)
    return run


def train_until_stopped(store: Path, name: str) -> None:
    run = RunFolder(store.parent / "runs" / name)
    threading.Thread(target=_ask_to_stop, args=(run,), daemon=True).start()
    try:
        train_there(store, name)
    except StoppedEarlyError:
        return
    raise AssertionError("it was not stopped")


def _ask_to_stop(run: RunFolder) -> None:
    while len(read_metrics(run.metrics)) < 1:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_bytes_of_one_left_alone(
    store: Path, undisturbed: RunFolder
) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=train_until_stopped, args=(store, "stopped")
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    run = RunFolder(store.parent / "runs" / "stopped")
    assert run.last.exists() and not run.final.exists()
    train_there(store, "stopped")
    assert run.final.read_bytes() == undisturbed.final.read_bytes()
    assert run.metrics.read_bytes() == undisturbed.metrics.read_bytes()


def davenet_of(trainer: StageTrainer) -> dict[str, Tensor]:
    state = trainer.model.get_submodule("encoders.audio.davenet").state_dict()
    return {name: value.clone() for name, value in state.items() if name[:10] != "batchnorm1"}


def test_davenet_learns_where_its_stage_trains_audio_and_is_still_elsewhere(store: Path) -> None:
    for stage, learns in ((0, True), (1, False)):
        trainer, batches = stage_here(store, RESIDUAL, stage=stage)
        before = davenet_of(trainer)
        for step in range(1 + learns):  # the first step of a schedule may have a rate of zero
            trainer.step(batches[step], step)
        after = davenet_of(trainer)
        assert {torch.equal(after[name], value) for name, value in before.items()} == {not learns}


def test_a_step_that_is_left_out_leaves_batch_norms_alone_and_names_its_weights(
    store: Path,
) -> None:
    trainer, batches = stage_here(store, RESIDUAL)
    davenet = trainer.model.get_submodule("encoders.audio.davenet")
    davenet.get_parameter("layer2.0.conv1.weight").data[0, 0, 0, 0] = torch.nan
    before = davenet_of(trainer)
    result = trainer.step(batches[0], 0)
    assert result.fault is not None and result.fault.what == "weights"
    assert result.fault.name == "encoders.audio.davenet.layer2.0.conv1.weight"
    assert result.fault.modality == "audio"
    for name, value in davenet_of(trainer).items():
        assert torch.equal(value.nan_to_num(7), before[name].nan_to_num(7)), name


def test_a_spectrogram_that_is_not_finite_is_kept_out_by_name(store: Path) -> None:
    trainer, batches = stage_here(store, CONFIG)
    own = batches.reader.read

    def with_a_broken_video(video_id: str, *args: Any, **kwargs: Any) -> Clips:
        clips = own(video_id, *args, **kwargs)
        if video_id == "video0-002":
            broken = np.full((9, 40), np.nan, np.float16)
            return replace(clips, audio=[broken for _ in range(len(clips))])
        return clips

    batches.reader.read = with_a_broken_video  # type: ignore[method-assign]
    batch: ClipBatch = batches[0]
    assert batch.kept_out["audio"] == {"video0-002": 2}
    assert math.isfinite(trainer.step(batch, 0).loss)


@torch.inference_mode()
def test_evaluation_hears_a_clip_to_its_end_by_the_davenet_of_the_checkpoint(
    store: Path, undisturbed: RunFolder
) -> None:
    checkpoint = load_checkpoint(undisturbed.final)
    model = load_model(checkpoint)
    stores = open_stores(store, SPECTROGRAMS)
    found = embed_benchmark(model, stores, max_words=20)
    davenet = Davenet().eval()
    davenet.load_state_dict(checkpoint.part("model.encoders.audio.davenet"))
    audio = model.get_submodule("encoders.audio")
    assert found.has["audio"].tolist() == [True] * 5 * (NUM_VIDEOS - 1) + [False] * 5
    for clip in (0, 7, 29):
        start, end = (found.seconds[clip] * 100).int().tolist()
        rows = stores["audio"].read(found.video_ids[clip])[start:end]
        assert len(rows) == 400 > CONFIG.audio_frames
        mel = torch.from_numpy(rows.astype(np.float32)).T
        pooled = davenet(mel[None]).mean(dim=2)
        projected = audio.get_submodule("projection")(audio.get_submodule("gated")(pooled))[0]
        torch.testing.assert_close(
            found.embeddings["audio"][clip], projected / projected.norm(), rtol=1e-4, atol=1e-5
        )


def test_a_second_is_heard_by_the_frames_around_it(store: Path, undisturbed: RunFolder) -> None:
    model = load_model(load_checkpoint(undisturbed.final))
    stores = open_stores(store, SPECTROGRAMS)
    reader = evaluated_reader(model, stores, MOST_SPECTROGRAM_FRAMES)
    seconds = read_seconds(reader, "video0-001")
    rows = stores["audio"].read("video0-001")
    heard = list(seconds.audio)[10]
    assert heard is not None and np.array_equal(heard, rows[650:1450])
    assert len(heard) == AUDIO_SECONDS * 100


def test_davenet_starts_from_a_published_checkpoint_of_it_or_of_what_holds_it(
    store: Path, tmp_path: Path
) -> None:
    dims = ClipReader(open_stores(store, SPECTROGRAMS), CONFIG.form).dims
    model, path = new_model(RESIDUAL, dims), tmp_path / "avlnet.pth"
    avlnet = AvlNet(video_dim=3, embedding_dim=4)
    torch.save(avlnet.state_dict(), path)
    load_davenet(model, path)
    davenet = model.get_submodule("encoders.audio.davenet")
    assert isinstance(davenet, ResDavenet)
    for name, value in avlnet.DAVEnet.state_dict().items():
        assert torch.equal(davenet.state_dict()[name], value)
    with pytest.raises(ValueError, match=r"holds a AvlNet.*Davenet: give --audio-encoder resd"):
        load_davenet(new_model(CONFIG, dims), path)


def test_a_run_that_starts_from_other_weights_is_another_run(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "davenet.pth"
    config = replace(CONFIG, audio_weights=str(path), stage1_epochs=1, stage2_epochs=0, lr=0.0)
    run = RunFolder(tmp_path / "runs" / "from-weights")
    with pytest.raises(FileNotFoundError, match=r"--audio-weights .*davenet\.pth: there is no"):
        train(config, Runtime(), open_stores(store, SPECTROGRAMS), run)
    weights = Davenet().state_dict()
    torch.save(weights, path)
    train(config, Runtime(), open_stores(store, SPECTROGRAMS), run)
    saved = load_checkpoint(run.final).part("model.encoders.audio.davenet")
    assert torch.equal(saved["conv2.weight"], weights["conv2.weight"])
    torch.save(Davenet().state_dict(), path)
    with pytest.raises(ValueError, match=r"another run \(data\.audio-weights"):
        train(config, Runtime(), open_stores(store, SPECTROGRAMS), run)
    with pytest.raises(ValueError, match="no DAVEnet is trained"):
        replace(config, audio_encoder="pooled")
