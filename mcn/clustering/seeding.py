"""Rows to begin k-means with that lie far apart, so that few clusters begin without one."""

import torch
from jaxtyping import Float
from torch import Tensor


def spread_out(
    rows: Float[Tensor, "rows dim"], clusters: int, generator: torch.Generator
) -> Float[Tensor, "clusters dim"]:
    """The first row and others drawn by their squared distance to the nearest one drawn before.

    k-means++: Arthur and Vassilvitskii, The Advantages of Careful Seeding, 2007.
    """
    draws = torch.rand(clusters, dtype=torch.float64, generator=generator).to(rows.device)
    centered = rows - rows.mean(dim=0)  # where products tell short distances
    squares = centered.square().sum(dim=1)
    distances = torch.full_like(squares, torch.inf)
    chosen = [draws.new_zeros((), dtype=torch.long)]
    for draw in draws[1:]:
        newest = chosen[-1]
        to_newest = squares - 2 * (centered @ centered[newest]) + squares[newest]
        distances = torch.minimum(distances, to_newest.clamp(min=0))
        summed = distances.double().cumsum(dim=0)
        # Where all distances are zero, any row will do.
        chosen.append(
            torch.searchsorted(summed, draw * summed[-1], right=True).clamp(max=len(rows) - 1)
        )
    return rows[torch.stack(chosen)]
