"""The first statistics of batch norms, from clips of the set.

With untouched ones an untrained network maps all clips to nearly one direction.
"""

import numpy as np
import torch

from mcn.data.clip_source import ClipSource
from mcn.models.batch_norm import ClipBatchNorm
from mcn.models.xdc import TRAINED, Xdc
from mcn.training.distributed import rank, world_size

MOST_CLIPS = 256


@torch.no_grad()
def fit_batch_norms(
    model: Xdc, source: ClipSource, device: torch.device, *, clips_at_once: int
) -> None:
    """Set them to their means over batches of clips from all over the set; every rank takes part.

    Those of weights that were trained elsewhere are fitted too: to these clips.
    """
    norms = [module for module in model.modules() if isinstance(module, ClipBatchNorm)]
    if not norms:
        return
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
