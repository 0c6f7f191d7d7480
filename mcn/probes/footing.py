"""What a probe stands on: rows that a model makes of clips, or the features that it is given.

    MCN     its embedding in the joint space
    MMV     its embedding in the finest space that has the modality
    XDC     what its encoder gives, which was clustered

Of several modalities the rows stand side by side.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.modality import Modality, Space
from mcn.models.mcn import Mcn
from mcn.models.trained import Model
from mcn.models.xdc import Xdc


class FeaturesAlone(nn.Module):
    """The features as they come, without any model; of spectrograms the mean over time."""

    def __init__(self, modalities: tuple[Modality, ...]) -> None:
        super().__init__()
        self.modalities = modalities

    @property
    def encoder(self) -> list[nn.Module]:
        """Nothing that may learn."""
        return []

    def forward(self, batch: ClipBatch) -> Float[Tensor, "clips dim"]:
        parts = {"video": batch.video, "audio": _mean_over_frames(batch)}
        return torch.cat([parts[modality].float() for modality in self.modalities], dim=1)


class ModelRows(nn.Module):
    """What a trained model makes of clips."""

    def __init__(self, model: Model | Xdc, modalities: tuple[Modality, ...]) -> None:
        super().__init__()
        self.model = model
        self.modalities = modalities

    @property
    def encoder(self) -> list[nn.Module]:
        """What may learn with a probe."""
        parts: list[nn.Module] = []
        for modality in self.modalities:
            if isinstance(self.model, Mcn | Xdc):
                parts.append(self.model.encoders[modality])
            else:
                place = (modality, finest_space(self.model, modality))
                heads = sorted(self.model.heads_of([place]))
                parts += [self.model.heads[head] for head in heads]
        return parts

    def forward(self, batch: ClipBatch) -> Float[Tensor, "clips dim"]:
        return torch.cat([self._rows(batch, modality).float() for modality in self.modalities], 1)

    def _rows(self, batch: ClipBatch, modality: Modality) -> Float[Tensor, "clips dim"]:
        if isinstance(self.model, Xdc):
            return self.model.features(batch, modality)
        return self.model.embed(batch, (modality,), finest_space(self.model, modality))[modality]


Footing = FeaturesAlone | ModelRows


def finest_space(model: Model, modality: Modality) -> Space:
    """Of those that the model brings the modality into."""
    return [space for space, together in model.spaces.items() if modality in together][-1]


def _mean_over_frames(batch: ClipBatch) -> Float[Tensor, "clips dim"]:
    if batch.audio_frames is None:
        return batch.audio
    frames = torch.arange(batch.audio.shape[2], device=batch.audio.device)
    is_sound = frames < batch.audio_frames[:, None]
    sums = (batch.audio.float() * is_sound[:, None]).sum(dim=2)
    return sums / batch.audio_frames.clamp(min=1)[:, None]


def has_all(batch: ClipBatch, modalities: tuple[Modality, ...]) -> Bool[Tensor, " clips"]:
    """Which clips have something of each modality."""
    return torch.stack([batch.has[modality] for modality in modalities]).all(dim=0)
