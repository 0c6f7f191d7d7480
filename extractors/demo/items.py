"""The eight items: each has an outline and a texture of its own, in any colour."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from extractors.demo.canvas import Sprite, assembled
from extractors.demo.shapes import Workshop

Grid = Float[np.ndarray, "height width"]
Look = tuple[Bool[np.ndarray, "height width"], Float[np.ndarray, "height width"]]
LEAF = (52, 104, 46)


def _onion(u: Grid, v: Grid) -> Look:
    """Rings within rings, and a tip."""
    radius = np.hypot(u, v / 0.9)
    tip = (abs(u) < 0.09) & (v < -0.8)
    return (radius < 0.93) | tip, np.where(np.sin(19 * radius) > 0, 1.0, 0.62)


def _carrot(u: Grid, v: Grid) -> Look:
    """A taper with short cross lines."""
    mask = (abs(v) < 0.55 - 0.26 * (u + 0.8)) & (u > -0.8)
    lines = (np.sin(16 * u) > 0.72) & (v > -0.12 + 0.2 * np.sin(7 * u))
    return mask, np.where(lines, 0.55, 1.0 - 0.25 * v)


def _tomato(u: Grid, v: Grid) -> Look:
    """Smooth and round, with a highlight."""
    glare = np.exp(-((u + 0.35) ** 2 + (v + 0.4) ** 2) / 0.06)
    return np.hypot(u, v / 0.9) < 0.95, 0.9 + 0.5 * glare - 0.25 * (u + v) / 2


def _pepper(u: Grid, v: Grid) -> Look:
    """Blocky, with upright lobes."""
    mask = (abs(u) / 0.82) ** 4 + (abs(v) / 0.95) ** 4 < 1
    return mask, 0.78 + 0.3 * np.cos(11 * u)


def _potato(u: Grid, v: Grid) -> Look:
    """A lumpy oval with dark eyes in rows that no ruler drew."""
    angle = np.arctan2(v, u)
    mask = np.hypot(u, v / 0.72) < 0.9 + 0.07 * np.sin(3 * angle + 1)
    eyes = np.sin(13 * u + 2.5 * np.sin(5 * v)) * np.sin(15 * v + 2 * np.sin(4 * u)) > 0.6
    return mask, np.where(eyes, 0.42, 0.95 - 0.15 * v)


def _fish(u: Grid, v: Grid) -> Look:
    """A body of scales, a tail and an eye."""
    body = np.hypot((u + 0.2) / 0.78, v / 0.5) < 1
    tail = (u > 0.4) & (abs(v) < (u - 0.35) * 0.9)
    scales = np.sin(24 * u) * np.sin(24 * v) > 0
    eye = np.hypot(u + 0.72, v + 0.1) < 0.07
    return body | tail, np.where(eye, 0.1, np.where(scales & body, 0.65, 1.05))


def _cheese(u: Grid, v: Grid) -> Look:
    """A wedge full of holes."""
    mask = (v < 0.75) & (v > -0.75 + 0.72 * (u + 1) / 2 * 1.2) & (abs(u) < 0.98)
    holes = np.zeros(u.shape, bool)
    for x, y, size in (
        (-0.6, 0.3, 0.2),
        (-0.2, -0.2, 0.14),
        (0.15, 0.42, 0.17),
        (-0.7, -0.35, 0.13),
    ):
        holes |= np.hypot(u - x, v - y) < size
    holes |= np.hypot(u - 0.62, v - 0.4) < 0.11
    return mask, np.where(holes, 0.45, np.where(v > 0.5, 0.8, 1.0))


def _cabbage(u: Grid, v: Grid) -> Look:
    """Ruffled leaves with bright ribs from the middle."""
    angle, radius = np.arctan2(v, u), np.hypot(u, v)
    mask = radius < 0.9 + 0.08 * np.sin(11 * angle)
    ribs = np.cos(9 * angle + 2 * radius) > 0.8
    return mask, np.where(ribs, 1.35, 0.55 + 0.45 * radius)


LOOKS: dict[str, tuple[Callable[[Grid, Grid], Look], float]] = {
    "onion": (_onion, 1.0),
    "carrot": (_carrot, 0.5),
    "tomato": (_tomato, 0.95),
    "pepper": (_pepper, 1.0),
    "potato": (_potato, 0.85),
    "fish": (_fish, 0.75),
    "cheese": (_cheese, 0.8),
    "cabbage": (_cabbage, 1.0),
}
"""Outline and texture of each item, and its height as a share of its width."""


def item_sprite(workshop: Workshop, item: str, rgb: Sequence[float], size: float) -> Sprite:
    """The item in a colour, `size` units wide."""
    look, aspect = LOOKS[item]
    u, v = workshop.grid(size, size * aspect)
    mask, shade = look(u, v)
    body = workshop.shape(mask, rgb, shade)
    height = size * aspect
    if item == "carrot":
        tuft = workshop.disc(size * 0.22, size * 0.2, LEAF)
        return assembled(workshop.unit, size, height, [(tuft, -0.4 * size, 0), (body, 0, 0)])
    if item in ("tomato", "pepper"):
        stem = workshop.disc(size * 0.3, size * 0.14, LEAF)
        return assembled(workshop.unit, size, height, [(body, 0, 0), (stem, 0, -0.4 * height)])
    return body
