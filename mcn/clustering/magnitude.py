"""Rows brought to a size at which their squares neither vanish nor overflow."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LEAST_NORM = 1e-12
"""Squares of a shorter row may vanish in single precision."""

MIDDLING = (1e-6, 1e6)
"""Largest numbers of which even the fourth powers, by which the torch engine bounds its rounding,
neither vanish nor overflow."""


def unit(rows: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
    """As `normalized`, but without a copy where all are of unit length, as embeddings are."""
    norms = _norms(rows)
    is_unit = (norms - 1).abs().max() <= 1e-6
    return rows if is_unit else _divided(rows, norms)


def normalized(rows: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
    """Rows of unit length, however large or small their numbers are; rows of zeros stay."""
    return _divided(rows, _norms(rows))


def _norms(rows: Tensor) -> Float[Tensor, "rows 1"]:
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return norms


def _divided(rows: Tensor, norms: Float[Tensor, "rows 1"]) -> Float[Tensor, "rows dim"]:
    divided: Tensor = rows / norms.clamp(min=LEAST_NORM)
    lost = ((norms < LEAST_NORM) | norms.isinf()).flatten().nonzero().flatten()
    if len(lost):
        largest = rows[lost].abs().amax(dim=1, keepdim=True)
        divided[lost] = F.normalize(rows[lost] / largest.where(largest > 0, 1), dim=1)
    return divided


def middling_scale(
    rows: Float[Tensor, "rows dim"], others: Float[Tensor, "others dim"] | None
) -> float:
    """What brings all numbers to a middling size: 1 or a power of two, which changes no digit."""
    ends = [end for of in (rows, others) if of is not None for end in torch.aminmax(of)]
    largest = float(torch.stack(ends).abs().max())
    if largest == 0 or MIDDLING[0] <= largest <= MIDDLING[1]:
        return 1.0
    # The factor has to be a number of this precision, and so has one over it.
    most = math.frexp(torch.finfo(rows.dtype).max)[1] - 8
    return 2.0 ** -max(-most, min(math.frexp(largest)[1], most))
