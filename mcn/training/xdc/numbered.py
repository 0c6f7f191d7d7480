"""Clips that know their numbers in the set, by which their labels are found."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mcn.data.batches import ClipBatch


@dataclass(frozen=True)
class NumberedClips(ClipBatch):
    """A batch from a set of clips."""

    numbers: Int64[Tensor, " clips"] = field(kw_only=True)

    @classmethod
    def of(cls, clips: ClipBatch, numbers: Sequence[int] | np.ndarray) -> "NumberedClips":
        """The same clips with their numbers."""
        return cls(**vars(clips), numbers=torch.as_tensor(numbers, dtype=torch.int64))
