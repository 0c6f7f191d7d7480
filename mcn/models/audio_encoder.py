"""Sound into the joint space by a DAVEnet that learns with the rest, as MCN was published."""

from typing import Literal

import torch
from jaxtyping import Float, Float16, Int64
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.data.clip_form import ClipForm
from mcn.models.davenet import DAVENETS, FRAMES_PER_ROW, ROW_DIM, ResDavenet, mean_of_rows
from mcn.models.gated import GatedEmbeddingUnit

AudioNetwork = Literal["davenet", "resdavenet"]

CLIPS_AT_A_TIME = 64
"""Of a DAVEnet that does not learn: with its batch norms at rest, clips do not know each other."""


class SpectrogramEncoder(nn.Module):
    """The mean of DAVEnet's rows over a clip, gated in its own dimension and then projected."""

    def __init__(self, network: AudioNetwork, form: ClipForm, *, embedding_dim: int) -> None:
        super().__init__()
        self.form = form
        self.davenet = DAVENETS[network]()
        self.gated = GatedEmbeddingUnit(ROW_DIM, ROW_DIM)
        self.projection = nn.Linear(ROW_DIM, embedding_dim)
        self.requires_grad_()

    def requires_grad_(self, requires_grad: bool = True) -> "SpectrogramEncoder":
        """As for any module, but for what takes no part: DDP would wait for its gradient."""
        super().requires_grad_(requires_grad)
        if isinstance(self.davenet, ResDavenet):
            self.davenet.batchnorm1.requires_grad_(False)
        return self

    def forward(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        assert batch.audio_frames is not None
        at_a_time = max(1, len(batch)) if self.training else CLIPS_AT_A_TIME
        parts = zip(batch.audio.split(at_a_time), batch.audio_frames.split(at_a_time), strict=True)
        features = torch.cat([self._pooled(*part) for part in parts])
        return self.projection(self.gated(features)), features

    def _pooled(
        self, log_mel: Float16[Tensor, "clips 40 frames"], num_frames: Int64[Tensor, " clips"]
    ) -> Float[Tensor, "clips 1024"]:
        """Clips without sound count for nothing, and their mean is zero."""
        if self.form.audio_padding == "silence":
            heard, num_rows = num_frames, _rows_begun(num_frames)
        else:
            heard = log_mel.shape[2] * (num_frames > 0)  # with its padding, which sounds loudest
            num_rows = _rows_begun(heard)
            if not self.training:
                num_rows = (num_frames // FRAMES_PER_ROW).clamp(min=1).minimum(num_rows)
        return mean_of_rows(self.davenet(log_mel.float(), heard), num_rows)


def _rows_begun(num_frames: Tensor) -> Tensor:
    return (num_frames + FRAMES_PER_ROW - 1) // FRAMES_PER_ROW
