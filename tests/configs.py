"""A run of seconds for tests, which each take what they need otherwise."""

from mcn.objectives import Stage
from mcn.training.config import TrainConfig

SMALL = TrainConfig(
    stage=Stage.AV_T,
    batch_size=8,
    clips_per_video=4,
    stage1_epochs=6,
    stage2_epochs=4,
    lr=1e-3,
    embedding_dim=32,
    reconstruction_dim=16,
    min_clip_seconds=2.0,
    clusters=6,
    queue_size=64,
    refit_every_steps=5,
)
