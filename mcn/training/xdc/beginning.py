"""What a model of XDC is given before the first clustering: weights, and statistics of the set;
and whether the set is large enough.
"""

from pathlib import Path

import numpy as np
import torch

from mcn.data.clip_source import ClipSource
from mcn.models.batch_norm import ClipBatchNorm
from mcn.models.raw_encoders import VideoNetwork, load_video_weights
from mcn.models.xdc import TRAINED, Xdc
from mcn.training.distributed import rank, world_size
from mcn.training.statistics import standardise_by
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.extraction import Chunks

MOST_CHUNKS = 32
"""Whose features standardise."""
MOST_CLIPS = 256
"""To which the batch norms of networks are fitted."""


def check_sizes(config: XdcConfig, *, num_clips: int) -> None:
    """Returns if every rank has a clip in each batch, and there are as many clips as clusters.

    Raises:
        ValueError: There are not.
    """
    if config.batch_size < world_size():
        raise ValueError(
            f"--batch-size {config.batch_size} leaves some of {world_size()} processes "
            "without a clip: give a larger one, or fewer GPUs"
        )
    if config.clusters > num_clips:
        raise ValueError(
            f"--clusters {config.clusters}: there are {num_clips} clips; give fewer "
            "clusters, or more clips by a larger --clips-per-video or a smaller --clip-seconds"
        )


def begin_with(
    model: Xdc,
    config: XdcConfig,
    source: ClipSource,
    device: torch.device,
    *,
    clips_at_once: int,
) -> None:
    """Every rank takes part.

    Raises:
        ValueError: The file of weights is of another network.
    """
    encoder = model.encoders["video"]
    if isinstance(encoder, VideoNetwork):
        if config.video_weights != "random":
            load_video_weights(encoder, Path(config.video_weights))
        _fit_batch_norms(model, source, device, clips_at_once=clips_at_once)
        return
    chunks = Chunks(source, clips_at_once)
    every = -(-len(chunks) // MOST_CHUNKS)
    mine = range(0, len(chunks), every)[rank() :: world_size()]
    standardise_by(model.standardizers(), (chunks[chunk] for chunk in mine))


@torch.no_grad()
def _fit_batch_norms(
    model: Xdc, source: ClipSource, device: torch.device, *, clips_at_once: int
) -> None:
    """Set them to their means over batches of clips from all over the set.

    With untouched ones an untrained network maps all clips to nearly one direction; those of
    weights that were trained elsewhere are fitted to these clips too.
    """
    norms = [module for module in model.modules() if isinstance(module, ClipBatchNorm)]
    momenta = [norm.momentum for norm in norms]
    total = len(source.places)
    numbers = np.unique(np.linspace(0, total - 1, min(total, MOST_CLIPS)).round().astype(np.int64))
    # Dealt out, so that each batch has clips of many videos.
    num_batches = -(-len(numbers) // clips_at_once)
    for k in range(num_batches):
        mine = np.array_split(numbers[k::num_batches], world_size())[rank()]
        batch = source.read(mine.tolist()).to(device)
        for norm in norms:
            norm.momentum = 1 / (k + 1)  # a cumulative mean
        for modality in TRAINED:
            model.features(batch, modality)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
