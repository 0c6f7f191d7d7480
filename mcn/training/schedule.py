"""The learning rate over the steps of a stage."""

import math


def warmup_cosine(step: int, *, warmup: int, total: int) -> float:
    """Factor of the learning rate: linear from 0 to 1 over `warmup`, then a half cosine to 0.

    Clamped after `total`, even within `warmup`: a run continued past its end stays at 0 (the
    published schedule rises again).

    Raises:
        ValueError: The step is negative.
    """
    if step < 0:
        raise ValueError(f"step {step}: the first is 0")
    if step >= total:
        return 0.0
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / (total - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
