"""The newest rows of a stream, in constant memory."""

import torch
from jaxtyping import Float
from torch import Tensor


class FeatureQueue:
    """The newest `size` rows pushed, as a ring buffer: no row is ever moved."""

    def __init__(self, size: int, dim: int, *, device: torch.device | str = "cpu") -> None:
        self.rows = torch.zeros(size, dim, device=device)
        self.num_pushed = 0

    def push(self, rows: Float[Tensor, "rows dim"]) -> None:
        size = len(self.rows)
        kept = rows[-size:] if size else rows[:0]
        first = self.num_pushed + len(rows) - len(kept)
        places = torch.arange(first, first + len(kept), device=self.rows.device) % max(size, 1)
        self.rows[places] = kept.detach().to(self.rows.dtype)
        self.num_pushed += len(rows)

    def filled(self) -> Float[Tensor, "filled dim"]:
        """The rows held, in no particular order."""
        return self.rows[: min(self.num_pushed, len(self.rows))]
