"""Where a linear layer takes the rows of its clips from, time after time."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcn.data.clip_source import ClipSource
from mcn.probes.clip_batches import ClipBatches
from mcn.probes.footing import Footing, has_all


class HeldRows(nn.Module):
    """Rows that were made once: of clips that are always read alike, by what stands still."""

    def __init__(self, rows: Float[Tensor, "clips dim"], device: torch.device) -> None:
        super().__init__()
        self.rows = rows
        self.device = device

    def each(
        self, parts: Sequence[Sequence[int]], draw: int | None
    ) -> Iterator[tuple[Float[Tensor, "some dim"], Bool[Tensor, " some"]]]:
        """Those of some clips after those of others, and which clips have them: here all."""
        for numbers in parts:
            there = torch.ones(len(numbers), dtype=torch.bool, device=self.device)
            yield self.rows[torch.tensor(numbers)].to(self.device), there


class MadeRows(nn.Module):
    """Clips are read each time, and gone through by what a probe stands on.

    Its encoder learns if it was told so, batch norms included; all else stays as it is.
    """

    def __init__(
        self,
        footing: Footing,
        source: ClipSource,
        device: torch.device,
        *,
        learns: bool,
        is_held: bool = True,
    ) -> None:
        """Takes what makes the rows.

        Args:
            footing: What a probe stands on.
            source: All clips.
            device: Where rows are made.
            learns: Whether the encoder does.
            is_held: Whether clips are in memory, so that none need be read ahead.
        """
        super().__init__()
        self.footing = footing.to(device).requires_grad_(False)
        self.source = source
        self.device = device
        self.is_held = is_held
        self.learning = footing.encoder if learns else []
        for part in self.learning:
            part.requires_grad_(True)

    def train(self, mode: bool = True) -> "MadeRows":
        super().train(False)
        for part in self.learning:
            part.train(mode)
        return self

    def each(
        self, parts: Sequence[Sequence[int]], draw: int | None
    ) -> Iterator[tuple[Float[Tensor, "some dim"], Bool[Tensor, " some"]]]:
        """Those of some clips after those of others, and which clips have every modality: what is
        read anew in a training draw may lack one that it had before.
        """
        batches = ClipBatches(self.source, parts, draw)
        with batches.read(self.device, is_held=self.is_held) as read:
            for clips in read:
                batch = clips.to(self.device)
                yield self.footing(batch), has_all(batch, self.footing.modalities)
