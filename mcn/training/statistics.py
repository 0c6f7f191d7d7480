"""Mean and variance of the inputs over the first batches, set before the first step."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from mcn.data.batches import ClipBatch
from mcn.data.clip_reader import word_vectors
from mcn.data.training_batches import TrainingBatches
from mcn.modality import MODALITIES, Modality
from mcn.models.mcn import Mcn


def set_input_statistics(model: Mcn, batches: TrainingBatches, *, num_batches: int) -> None:
    """Standardise every modality's input by what the first epoch's batches hold."""
    device = next(model.parameters()).device
    vectors = word_vectors(batches.reader)
    sums = {m: torch.zeros(3, batches.reader.dims[m], dtype=torch.float64) for m in MODALITIES}
    for step in range(min(num_batches, batches.steps_per_epoch)):
        batch = batches[step]
        for modality in MODALITIES:
            rows = _input_rows(batch, modality, vectors).double()
            counted = torch.ones_like(rows).sum(dim=0)
            sums[modality] += torch.stack((counted, rows.sum(dim=0), rows.square().sum(dim=0)))
    for modality in MODALITIES:
        total = sums[modality].to(device)
        if dist.is_initialized():
            dist.all_reduce(total)
        count = total[0].clamp(min=1)
        mean = total[1] / count
        variance = (total[2] / count - mean.square()).clamp(min=0)
        model.standardizer(modality).set_statistics(mean.float(), variance.sqrt().float())


def _input_rows(
    batch: ClipBatch, modality: Modality, vectors: Float[Tensor, "words text_dim"]
) -> Float[Tensor, "rows dim"]:
    if modality == "text":
        return vectors[batch.words[batch.is_word]]
    features = batch.video if modality == "video" else batch.audio
    return features[batch.has[modality]]
