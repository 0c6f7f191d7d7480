"""Runs on other numbers of ranks: the same losses and gradients, and no clip lost or seen twice."""

import itertools
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.optim.optimizer import register_optimizer_step_post_hook

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.objectives import Stage
from mcn.stop import StoppedEarlyError
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime, TrainConfig
from mcn.training.distributed import process_group, rank, world_size
from mcn.training.loop import train
from mcn.training.model import new_model
from mcn.training.presets import PUBLISHED
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.stage import StageTrainer
from slurm.local import run_ranks
from tests.configs import SMALL
from tests.published_runs import SAMPLING
from tests.stores import FEATURES, write_stores
from tests.test_guard import edit_features

# Losses and gradients.

OVERLAPPING = replace(SMALL, min_clip_seconds=6.0)  # clips of four seconds grow to eight
BEHAVIOURS = {
    "default": OVERLAPPING,
    "published": replace(OVERLAPPING, **{**PUBLISHED, "embedding_dim": SMALL.embedding_dim}),
}
OBJECTIVES = {
    f"{behaviour}-{stage.name}-{number}": (replace(config, stage=stage), number)
    for behaviour, config in BEHAVIOURS.items()
    for stage in Stage
    for number in range(len(stage.value))
}

Outcome = tuple[float, dict[str, torch.Tensor]]


def step_of_every_objective(store: Path) -> dict[str, Outcome]:
    """Loss and gradients of a step on this rank's share of a batch, in which not all have sound."""
    reader = ClipReader(open_stores(store, FEATURES))
    outcomes = {}
    for name, (config, number) in OBJECTIVES.items():
        sampling = replace(SAMPLING, batch_size=7, min_clip_seconds=config.min_clip_seconds)
        shares = TrainingBatches(reader, sampling, rank=rank(), world_size=world_size())
        model = new_model(config, reader.dims)
        model.know_words(reader.word_vectors)
        trainer = StageTrainer(config, config.stage.value[number], model, num_steps=10)
        loss = trainer.step(shares[0], 0).loss
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        outcomes[name] = (loss, gradients)
    return outcomes


def step_as_rank(store: Path) -> None:
    with process_group():
        torch.save(step_of_every_objective(store), store.parent / f"rank{os.environ['RANK']}.pt")


@pytest.mark.slow
def test_two_ranks_have_loss_and_gradient_of_one_at_every_objective(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_stores(store, num_videos=7)  # of which the ranks have four and three
    alone = step_of_every_objective(store)
    run_ranks(partial(step_as_rank, store), num_ranks=2)
    for number in range(2):
        outcomes = torch.load(tmp_path / f"rank{number}.pt")
        assert outcomes.keys() == alone.keys()
        for name, (loss, gradients) in outcomes.items():
            expected_loss, expected = alone[name]
            assert loss == pytest.approx(expected_loss, rel=1e-5), name
            assert gradients.keys() == expected.keys() != set()
            for parameter, gradient in gradients.items():
                told = f"{name}, {parameter}"
                scale = float(expected[parameter].abs().max())
                torch.testing.assert_close(
                    gradient, expected[parameter], rtol=1e-4, atol=1e-5 * scale, msg=told
                )


# Clips.

CONFIG_OF_LONG_EPOCHS = TrainConfig(
    stage=Stage.AVT,
    batch_size=2,
    clips_per_video=4,
    stage1_epochs=1,
    stage2_epochs=1,
    embedding_dim=16,
    reconstruction_dim=8,
    min_clip_seconds=2.0,
    clusters=6,
    queue_size=64,
)
STEPS_PER_EPOCH = 30
ASKED_IN_STEP = 7


def test_the_shares_of_an_epoch_hold_every_clip_once_whenever_ranks_come_and_go(
    tmp_path: Path,
) -> None:
    write_stores(tmp_path, num_videos=24)
    reader = ClipReader(open_stores(tmp_path, FEATURES))
    sampling = replace(SAMPLING, batch_size=5, clips_per_video=9)
    seen: Counter[tuple[str, float]] = Counter()
    for step, num_ranks in enumerate([2, 2, 1, 3, 2]):
        for number in range(num_ranks):
            share = TrainingBatches(reader, sampling, rank=number, world_size=num_ranks)[step]
            seen.update(zip(share.video_ids, share.seconds[:, 0].tolist(), strict=True))
    assert len(seen) == 24 * 5
    assert set(seen.values()) == {1}


def leave_no_sound(rows: NDArray[np.float16], videos: dict[str, slice]) -> None:
    rows[:] = np.nan


def train_there(store: Path, name: str) -> RunFolder:
    run = RunFolder(store.parent / "runs" / name)
    train(CONFIG_OF_LONG_EPOCHS, Runtime(), open_stores(store, FEATURES), run)
    return run


def train_until_stopped(store: Path, name: str) -> None:
    """Train, and have rank 0 asked to stop in a step in the middle of an epoch."""
    if os.environ.get("RANK", "0") == "0":
        steps = itertools.count()
        register_optimizer_step_post_hook(
            lambda *_: (
                os.kill(os.getpid(), signal.SIGTERM) if next(steps) == ASKED_IN_STEP else None
            )
        )
    try:
        train_there(store, name)
    except StoppedEarlyError:
        return
    raise AssertionError("it was not stopped")


def train_again(store: Path, name: str) -> None:
    train_there(store, name)


def run_in_processes(work: Callable[[], None], *, num_ranks: int) -> None:
    """One alone has a process of its own, too: it is sent a signal."""
    if num_ranks > 1:
        run_ranks(work, num_ranks=num_ranks)
        return
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0


def clips_of_each_epoch(run: RunFolder) -> list[Counter[str]]:
    """Clips of every video that went through a step, as the run itself put them on record."""
    epochs: list[Counter[str]] = [Counter(), Counter()]
    for row in read_metrics(run.nonfinite_log):
        epochs[row["step"] // STEPS_PER_EPOCH].update(row["kept_out"]["audio"])
    return epochs


@pytest.mark.slow
@pytest.mark.parametrize("before, after", [(1, 1), (2, 1), (1, 2)])
def test_a_run_stopped_in_mid_epoch_and_carried_on_sees_every_clip_once(
    tmp_path: Path, before: int, after: int
) -> None:
    store = tmp_path / "store"
    write_stores(store, num_videos=2 * STEPS_PER_EPOCH)
    # Every clip is kept out of the sound and for that is put on record; it is trained all the same.
    edit_features(store, "audio", leave_no_sound)
    run = RunFolder(tmp_path / "runs" / "stopped")
    run_in_processes(partial(train_until_stopped, store, "stopped"), num_ranks=before)
    stopped_at = load_checkpoint(run.last).meta["step"]
    assert stopped_at == ASKED_IN_STEP + 1
    run_in_processes(partial(train_again, store, "stopped"), num_ranks=after)

    undisturbed = train_there(store, "undisturbed")
    # The last video has no sound that could be kept out.
    everything = Counter({f"video0-{n:03d}": 4 for n in range(2 * STEPS_PER_EPOCH - 1)})
    assert clips_of_each_epoch(run) == [everything, everything]
    assert run.nonfinite_log.read_bytes() == undisturbed.nonfinite_log.read_bytes()
    model = load_checkpoint(run.final).part("model")
    for name, value in load_checkpoint(undisturbed.final).part("model").items():
        torch.testing.assert_close(model[name], value, atol=1e-4, rtol=1e-3, msg=name)
