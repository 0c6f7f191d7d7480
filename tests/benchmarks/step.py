"""Where the time of a training step goes, model by model, and of a round of XDC; no peer.

Sizes are the user's but for fewer clips, so that all models take two minutes on two cores; what
grows with the square of the clips has a smaller share than at full size, which `training_step` has
for MCN. Batches are read ahead by the processes that training starts, and what is counted as
waiting is what remains of that. k-means is refitted in one step of many, and its cost is spread
over them. The guard is the look at the loss and all gradients for values that are not finite.
"""

from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F

from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.modality import MMV_SPACES
from mcn.objectives import Stage
from mcn.training.clusterer import Clusterer
from mcn.training.config import TrainConfig
from mcn.training.loader import default_workers, read_ahead
from mcn.training.mcn_learner import McnLearner
from mcn.training.mmv_learner import MmvLearner
from mcn.training.model import new_model
from mcn.training.presets import MMV
from mcn.training.stage import StageTrainer
from tests.benchmarks import xdc_round
from tests.benchmarks.result import Result, Row
from tests.benchmarks.stopwatch import Methods, Stopwatch
from tests.benchmarks.training_corpus import FEATURES, sampling, write_training_stores

FULL: dict[str, Any] = {"batch_size": 16, "queue_size": 10_240}
QUICK: dict[str, Any] = {
    "batch_size": 4,
    "clips_per_video": 8,
    "embedding_dim": 256,
    "queue_size": 512,
}

MODELS: dict[str, TrainConfig] = {
    "mcn": TrainConfig(stage=Stage.AVT),
    **{f"mmv-{space}": TrainConfig(stage=Stage.AVT, space=space, **MMV) for space in MMV_SPACES},
}

PARTS: dict[str, Methods] = {
    "forward": [(StageTrainer, "_encode")],
    "loss": [
        (StageTrainer, "_overlapping"),
        *((learner, name) for learner in (McnLearner, MmvLearner) for name in ("look", "terms")),
    ],
    "clustering": [(Clusterer, "__call__")],
    "backward": [(torch.Tensor, "backward")],
    "guard": [(StageTrainer, "_measure")],
    "optimiser": [(torch.optim.Adam, "step")],
}
"""Whose time each is; what a learner looks up before its loss counts as loss."""

WAITING, ALL_ELSE = "waiting for data", "all else"
PLAIN_STEPS = 3
"""Steps measured that do not refit k-means; where there is any, one more does."""


def measure(*, quick: bool) -> list[Result]:
    """Seconds by part of an average step of each model, and of a round of XDC."""
    sizes = QUICK if quick else FULL
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_training_stores(folder, num_videos=sizes["batch_size"])
        steps = [
            _measure(name, replace(config, **sizes), folder) for name, config in MODELS.items()
        ]
    return [*steps, *xdc_round.measure(quick=quick)]


def _measure(name: str, config: TrainConfig, folder: Path) -> Result:
    batches = TrainingBatches(ClipReader(open_stores(folder, FEATURES)), sampling(config))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = new_model(config, batches.reader.dims).to(device)
    model.know_words(batches.reader.word_vectors.to(device))
    (objective,) = config.stage.value
    trainer = StageTrainer(config, objective, model, num_steps=1000)
    has_clusters = isinstance(trainer.learner, McnLearner)
    seconds = _seconds_by_part(trainer, batches, device, num_refits=int(has_clusters))
    total = sum(seconds.values())
    clustered = (
        f", a queue of {config.queue_size:,}, k-means every {config.refit_every_steps} steps"
        if has_clusters
        else f", {config.candidates} captions a clip"
    )
    return Result(
        title=f"step of {name}, {total:.3g} s",
        measured=f"{config.stage.name}, {config.batch_size} videos of at most "
        f"{config.clips_per_video} clips{clustered}; {PLAIN_STEPS} steps, {device.type}, "
        f"{torch.get_num_threads()} threads, {default_workers(batches)} reading ahead",
        rows=[
            Row(name=part, value=value, unit="s", note=f"{value / total:.1%} of the step")
            for part, value in seconds.items()
        ],
    )


def _seconds_by_part(
    trainer: StageTrainer, batches: TrainingBatches, device: torch.device, *, num_refits: int
) -> dict[str, float]:
    """Of a step as they are on average; the last of those measured refits k-means."""
    watch = Stopwatch()
    num_steps = 1 + PLAIN_STEPS + num_refits
    found = []
    workers = default_workers(batches)
    with (
        watch.watching(PARTS),
        read_ahead(batches, range(num_steps), workers=workers, device=device) as read,
    ):
        for step in range(num_steps):
            if step == 1:
                _fill_queue(trainer)
            if step == num_steps - 1 and num_refits:
                _make_refit_due(trainer)
            with watch.during(WAITING):
                batch = next(read)
            with watch.during(ALL_ELSE):
                trainer.step(batch, step)
            found.append(watch.reset())
    plain = found[1 : 1 + PLAIN_STEPS]  # the first warms up
    parts = (WAITING, *PARTS, ALL_ELSE)
    seconds = {part: median(step.get(part, 0.0) for step in plain) for part in parts}
    if num_refits:
        share = 1 / trainer.config.refit_every_steps
        seconds["clustering"] += share * (found[-1]["clustering"] - seconds["clustering"])
    return seconds


def _fill_queue(trainer: StageTrainer) -> None:
    if isinstance(trainer.learner, McnLearner):
        queue = trainer.learner.clusterer.queue
        queue.push(F.normalize(torch.randn_like(queue.rows), dim=1))


def _make_refit_due(trainer: StageTrainer) -> None:
    if isinstance(trainer.learner, McnLearner):
        clusterer = trainer.learner.clusterer
        clusterer.steps_since_fit = clusterer.refit_every_steps
