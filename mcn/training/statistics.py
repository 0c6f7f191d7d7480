"""Mean and variance of the inputs over the first batches, set before the first step."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from mcn.data.batches import ClipBatch
from mcn.data.training_batches import TrainingBatches
from mcn.modality import Modality
from mcn.models.trained import Model


def set_input_statistics(model: Model, batches: TrainingBatches, *, num_batches: int) -> None:
    """Standardise each modality's input, unless of spectrograms, by the first batches."""
    device = next(model.parameters()).device
    standardizers = model.standardizers()
    dims, vectors = batches.reader.dims, batches.reader.word_vectors
    sums = {m: torch.zeros(3, dims[m], dtype=torch.float64) for m in standardizers}
    for step in range(min(num_batches, batches.steps_per_epoch)):
        batch = batches[step]
        for modality in sums:
            rows = _input_rows(batch, modality, vectors).double()
            counted = torch.ones_like(rows).sum(dim=0)
            sums[modality] += torch.stack((counted, rows.sum(dim=0), rows.square().sum(dim=0)))
    for modality, standardizer in standardizers.items():
        total = sums[modality].to(device)
        if dist.is_initialized():
            dist.all_reduce(total)
        count = total[0].clamp(min=1)
        mean = total[1] / count
        variance = (total[2] / count - mean.square()).clamp(min=0)
        standardizer.set_statistics(mean.float(), variance.sqrt().float())


def _input_rows(
    batch: ClipBatch, modality: Modality, vectors: Float[Tensor, "words text_dim"]
) -> Float[Tensor, "rows dim"]:
    if modality == "text":
        return vectors[batch.words[batch.is_word]]
    features = batch.video if modality == "video" else batch.audio
    return features[batch.has[modality]]
