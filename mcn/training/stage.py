"""One stage of a run: its optimiser and its schedule, whatever model it trains."""

import torch
from torch import Tensor

from mcn.data.batches import ClipBatch, clips_that_lack_all, collate
from mcn.modality import MODALITIES
from mcn.models.trained import Model
from mcn.objectives import Objective
from mcn.terms import overlapping_clips
from mcn.training.config import TrainConfig
from mcn.training.distributed import gather
from mcn.training.learner import new_learner
from mcn.training.schedule import warmup_cosine
from mcn.training.stepper import Stepper, StepResult


class StageTrainer(Stepper):
    """Trains what the stage's objective names and leaves all else as it is.

    A stage begins with a fresh optimiser and a schedule of its own: what they held belonged to
    other parameters.
    """

    def __init__(
        self, config: TrainConfig, objective: Objective, model: Model, *, num_steps: int
    ) -> None:
        self.config = config
        self.objective = objective
        self.num_steps = num_steps
        learner = new_learner(config, objective, model)
        learning = [p for p in model.parameters() if p.requires_grad]
        feature_dims = {m: int(getattr(model.dims, m)) for m in MODALITIES}
        lacking = clips_that_lack_all(1, feature_dims, max_words=1, form=model.form)
        super().__init__(
            model,
            learner,
            torch.optim.Adam(learning, lr=config.lr, fused=True),
            precision=config.precision,
            any_batch=collate([lacking], model.form),
        )

    def step(self, batch: ClipBatch, step: int) -> StepResult:
        """One optimiser step, as `take` has it.

        Args:
            batch: This rank's clips.
            step: Number of the step in this stage, from 0.
        """
        warmup = self.config.warmup_steps
        if self.config.warmup_limit == "tenth":
            warmup = min(warmup, self.num_steps // 10)
        lr = self.config.lr * warmup_cosine(step, warmup=warmup, total=self.num_steps)
        batch = batch.to(self.device)
        return self.take(batch, lr, self._overlapping(batch))

    def _overlapping(self, batch: ClipBatch) -> Tensor | None:
        if self.config.overlapping_clips == "negatives":
            return None
        return overlapping_clips(gather(batch.video_numbers), gather(batch.seconds))
