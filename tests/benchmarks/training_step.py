"""Where the time of a training step goes, on the processor; there is no peer.

The step is profiled as it is, by Python's own profiler, whose cost is nothing beside steps of
seconds. Batches are read between the steps, so that reading shows in full; loader workers hide it.
k-means is refitted in one step of many, and its cost is spread over them. The guard is the look at
the loss and all gradients for values that are not finite.
"""

import cProfile
import time
from dataclasses import replace
from inspect import unwrap
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.models.mcn import Mcn, McnDims
from mcn.objectives import Stage
from mcn.training.clusterer import Clusterer
from mcn.training.config import TrainConfig
from mcn.training.mcn_learner import McnLearner
from mcn.training.stage import StageTrainer
from tests.benchmarks.result import Result, Row
from tests.benchmarks.training_corpus import FEATURES, sampling, write_training_stores

FULL = TrainConfig(stage=Stage.AVT)
QUICK = replace(FULL, batch_size=8, clips_per_video=8, embedding_dim=256, queue_size=512)
PLAIN_STEPS = 2
"""Steps measured that do not refit k-means; one more does."""


def measure(*, quick: bool) -> list[Result]:
    """Seconds of an average step by part, once the queue is full."""
    config = QUICK if quick else FULL
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_training_stores(folder, num_videos=config.batch_size)
        batches = TrainingBatches(ClipReader(open_stores(folder, FEATURES)), sampling(config))
        num_clips = len(batches[0])
        plain, refit = _profile_steps(config, batches)
    seconds = {part: median(step[part] for step in plain) for part in plain[0]}
    plain_share = 1 - 1 / config.refit_every_steps
    seconds["clustering"] *= plain_share
    seconds["clustering"] += (1 - plain_share) * refit["clustering"]
    total = sum(seconds.values())
    rows = [
        Row(name=part, value=value, unit="s", note=f"{value / total:.1%} of the step")
        for part, value in seconds.items()
    ]
    measured = (
        f"{config.stage.name}, {num_clips:,} clips, {config.embedding_dim} dimensions, a queue of "
        f"{config.queue_size:,}, k-means every {config.refit_every_steps} steps "
        f"({refit['clustering']:.1f} s); {PLAIN_STEPS} steps, {torch.get_num_threads()} threads"
    )
    return [Result(title="training step", measured=measured, rows=rows)]


def _profile_steps(
    config: TrainConfig, batches: TrainingBatches
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Seconds by part of steps that do not refit k-means, and of one that does."""
    torch.manual_seed(config.seed)
    dims = McnDims(
        **batches.reader.dims,
        embedding=config.embedding_dim,
        reconstruction=config.reconstruction_dim,
    )
    (objective,) = config.stage.value
    model = Mcn(dims)
    model.know_words(batches.reader.word_vectors)
    trainer = StageTrainer(config, objective, model, num_steps=1000)
    _profile(trainer, batches, 0)  # warms up, and gives first centroids
    assert isinstance(trainer.learner, McnLearner)
    clusterer = trainer.learner.clusterer
    clusterer.queue.push(F.normalize(torch.randn_like(clusterer.queue.rows), dim=1))
    plain = [_profile(trainer, batches, 1 + step) for step in range(PLAIN_STEPS)]
    clusterer.steps_since_fit = config.refit_every_steps
    return plain, _profile(trainer, batches, 1 + PLAIN_STEPS)


def _profile(trainer: StageTrainer, batches: TrainingBatches, step: int) -> dict[str, float]:
    """Seconds by part of one step."""
    started = time.perf_counter()
    batch = batches[step]
    data = time.perf_counter() - started
    profile = cProfile.Profile()
    profile.runcall(trainer.step, batch, step)
    spent = {entry.code: entry.totaltime for entry in profile.getstats()}
    inside = {
        part: spent[unwrap(function).__code__]
        for part, function in (
            ("forward", StageTrainer._encode),
            ("loss", McnLearner.terms),
            ("clustering", Clusterer.__call__),
            ("backward", torch.Tensor.backward),
            ("guard", StageTrainer._measure),
            ("optimizer", torch.optim.Adam.step),
        )
    }
    rest = spent[StageTrainer.step.__code__] - sum(inside.values())
    return {"data": data, **inside, "all else": rest}
