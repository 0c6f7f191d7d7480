"""Mean and variance of the inputs over the first batches, set before the first step."""

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from mcn.data.batches import ClipBatch
from mcn.data.training_batches import TrainingBatches
from mcn.modality import Modality
from mcn.models.standardize import Standardize
from mcn.models.trained import Model


def set_input_statistics(model: Model, batches: TrainingBatches, *, num_batches: int) -> None:
    """Standardise each modality's input, unless of spectrograms, by the first batches."""
    first = (batches[step] for step in range(min(num_batches, batches.steps_per_epoch)))
    standardise_by(model.standardizers(), first, batches.reader.word_vectors)


def standardise_by(
    standardizers: Mapping[Modality, Standardize],
    batches: Iterable[ClipBatch],
    vectors: Float[Tensor, "words text_dim"] | None = None,
) -> None:
    """Standardise each of these modalities by these batches of all ranks; words by vectors."""
    sums = {m: torch.zeros(3, len(s.mean), dtype=torch.float64) for m, s in standardizers.items()}
    for batch in batches:
        for modality in sums:
            rows = _input_rows(batch, modality, vectors).double()
            counted = torch.ones_like(rows).sum(dim=0)
            sums[modality] += torch.stack((counted, rows.sum(dim=0), rows.square().sum(dim=0)))
    for modality, standardizer in standardizers.items():
        total = sums[modality].to(standardizer.mean.device)
        if dist.is_initialized():
            dist.all_reduce(total)
        count = total[0].clamp(min=1)
        mean = total[1] / count
        variance = (total[2] / count - mean.square()).clamp(min=0)
        standardizer.set_statistics(mean.float(), variance.sqrt().float())


def _input_rows(
    batch: ClipBatch, modality: Modality, vectors: Float[Tensor, "words text_dim"] | None
) -> Float[Tensor, "rows dim"]:
    if modality == "text":
        assert vectors is not None
        return vectors[batch.words[batch.is_word]]
    features = batch.video if modality == "video" else batch.audio
    return features[batch.has[modality]]
