"""The learning rate over the steps of a stage."""

import math


def warmup_cosine(step: int, *, warmup: int, total: int) -> float:
    """Factor of the learning rate: linear from 0 to 1 over `warmup`, then a half cosine to 0.

    Clamped after `total`: a run continued past its end stays at 0 (the published schedule rises
    again).
    """
    if step < warmup:
        return step / max(1, warmup)
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return 0.5 * (1.0 + math.cos(math.pi * progress))
