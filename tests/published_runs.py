"""Short runs and single steps, with one behaviour or another, on small stores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import Sampling, TrainingBatches
from mcn.training.clusterer import Clusterer
from mcn.training.config import Runtime
from mcn.training.loop import train
from mcn.training.mcn_learner import McnLearner
from mcn.training.model import new_model
from mcn.training.run_folder import RunFolder
from mcn.training.stage import StageTrainer
from mcn.training.stepper import StepResult
from tests.configs import SMALL
from tests.stores import FEATURES

SAMPLING = Sampling(
    seed=3,
    batch_size=24,
    clips_per_video=3,
    min_clip_seconds=2.0,
    max_words=7,
    shuffled_captions=False,
)


def clusterer_of(trainer: StageTrainer) -> Clusterer:
    """That of a stage that trains MCN."""
    assert isinstance(trainer.learner, McnLearner)
    return trainer.learner.clusterer


def first_step(reader: ClipReader, **changed: Any) -> tuple[StageTrainer, StepResult]:
    """A stage after one step on clips that overlap: of four seconds each, grown to eight."""
    config = replace(SMALL, **{"min_clip_seconds": 6.0, **changed})
    sampling = replace(SAMPLING, min_clip_seconds=config.min_clip_seconds)
    model = new_model(config, reader.dims)
    model.know_words(reader.word_vectors)
    trainer = StageTrainer(config, config.stage.value[-1], model, num_steps=10)
    return trainer, trainer.step(TrainingBatches(reader, sampling)[0], 0)


def short_run(store: Path, name: str, **changed: Any) -> RunFolder:
    run = RunFolder(store.parent / "runs" / name)
    config = replace(SMALL, **{"stage1_epochs": 1, "stage2_epochs": 1, **changed})
    train(config, Runtime(), open_stores(store, FEATURES), run)
    return run
