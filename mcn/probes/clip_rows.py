"""Where a linear layer takes the rows of its clips from, time after time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mcn.data.clip_source import ClipSource
from mcn.probes.footing import Footing


class HeldRows(nn.Module):
    """Rows that were made once: of clips that are always read alike, by what stands still."""

    def __init__(self, rows: Float[Tensor, "clips dim"], device: torch.device) -> None:
        super().__init__()
        self.rows = rows
        self.device = device

    def forward(self, numbers: Sequence[int], draw: int | None) -> Float[Tensor, "some dim"]:
        return self.rows[torch.tensor(numbers)].to(self.device)


class MadeRows(nn.Module):
    """Clips are read each time, and gone through by what a probe stands on.

    Its encoder learns if it was told so, batch norms included; all else stays as it is.
    """

    def __init__(
        self, footing: Footing, source: ClipSource, device: torch.device, *, learns: bool
    ) -> None:
        super().__init__()
        self.footing = footing.to(device).requires_grad_(False)
        self.source = source
        self.device = device
        self.learning = footing.encoder if learns else []
        for part in self.learning:
            part.requires_grad_(True)

    def train(self, mode: bool = True) -> "MadeRows":
        super().train(False)
        for part in self.learning:
            part.train(mode)
        return self

    def forward(self, numbers: Sequence[int], draw: int | None) -> Float[Tensor, "some dim"]:
        rows: Tensor = self.footing(self.source.read(numbers, draw=draw).to(self.device))
        return rows
