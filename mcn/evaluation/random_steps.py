"""What is found by chance, where steps are put into a video without looking at it."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import gammaln


def chance_in_order(truth: Bool[np.ndarray, "frames steps"]) -> float:
    """Steps that one frame each finds on average, all orderly choices being equally likely.

    Of the choices of as many frames as steps, those with step k at frame t have k frames before
    t and the others after it. None where there are more steps than frames.
    """
    num_frames, num_steps = truth.shape
    if num_steps > num_frames:
        return 0.0
    frame, step = np.arange(num_frames)[:, None], np.arange(num_steps)[None, :]
    before = _log_choices(frame, step)
    after = _log_choices(num_frames - 1 - frame, num_steps - 1 - step)
    return float(np.exp(before + after - _log_choices(num_frames, num_steps))[truth].sum())


def chance_second_by_second(truth: Bool[np.ndarray, "frames steps"]) -> float:
    """Steps found on average where each frame has any of the steps, all equally likely."""
    num_steps = truth.shape[1]
    return float((1 - (1 - 1 / num_steps) ** truth.sum(axis=0)).sum()) if num_steps else 0.0


def _log_choices(
    items: int | np.ndarray, chosen: int | np.ndarray
) -> Float[np.ndarray, "..."] | float:
    """Logarithm of the ways to choose some of the items; minus infinity where there is none."""
    items, chosen = np.asarray(items, float), np.asarray(chosen, float)
    rest = items - chosen
    ways = gammaln(items + 1) - gammaln(chosen + 1) - gammaln(np.maximum(rest, 0) + 1)
    return np.where(rest < 0, -np.inf, ways)
