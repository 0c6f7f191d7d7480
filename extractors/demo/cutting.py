"""Scenes of work on a board: chop, peel, roll, grate."""

import math
from itertools import pairwise

import numpy as np

from extractors.demo.canvas import Canvas, Sprite, assembled, cut, masked, stretched, toned, turned
from extractors.demo.scene import DARK_STEEL, PALE_WOOD, STEEL, WOOD, Kit, Placed, Scene


def _board(kit: Kit, rgb: tuple[int, int, int] = PALE_WOOD) -> list[Placed]:
    board = kit.workshop.box(1.25, 0.6, rgb)
    return [(board, 0.0, 0.08)]


def _bands(sprite: Sprite, count: int, *, upright: bool) -> list[Placed]:
    """The sprite cut into bands, each with where it was in pixels from the whole's centre."""
    extent = sprite.width if upright else sprite.height
    edges = [extent * k // count for k in range(count + 1)]
    bands = []
    for start, stop in pairwise(edges):
        span, middle = slice(start, stop), (start + stop - extent) / 2
        band = cut(sprite, columns=span) if upright else cut(sprite, rows=span)
        bands.append((band, middle, 0.0) if upright else (band, 0.0, middle))
    return bands


def chop(kit: Kit) -> Scene:
    """A knife comes down again and again; slices fall from the item and drift apart."""
    make, unit = kit.workshop, kit.workshop.unit
    bands = _bands(kit.sprite(), 7, upright=True)
    sinks = make.random.uniform(-0.16, 0.2, len(bands))
    knife = assembled(
        unit,
        0.1,
        0.62,
        [(make.box(0.09, 0.42, STEEL), 0, 0.1), (make.box(0.06, 0.2, (44, 34, 30)), 0, -0.21)],
    )

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        cuts = progress * len(bands)
        for k, (band, x, _) in enumerate(bands):
            loose = min(max(cuts - k, 0.0) / 2.5, 1.0)
            canvas.put(band, x / unit * (1 + 0.75 * loose) - 0.16 * loose, sinks[k] * loose)
        edge = bands[min(int(cuts), len(bands) - 1)][1] / unit
        canvas.put(knife, edge, -0.12 - 0.3 * abs(math.cos(math.pi * beats)))

    return Scene(still=_board(kit), paint=paint)


def peel(kit: Kit) -> Scene:
    """A dull brown skin comes off strip by strip; the bright item appears, the peel piles up."""
    make, unit = kit.workshop, kit.workshop.unit
    inside = toned(kit.sprite(), 1.12)
    u, v = make.grid(inside.width / unit, inside.height / unit)
    bark = np.where(np.sin(9 * u + 4 * v) > 0, 0.85, 0.6)
    skin = masked(make.shape(np.ones(u.shape, bool), (112, 84, 58), bark), inside.mask)
    strips = _bands(skin, 8, upright=False)
    curl = stretched(strips[len(strips) // 2][0], 0.55, 1.3)
    curls = [turned(curl, angle) for angle in make.random.uniform(-0.7, 0.7, len(strips))]
    heap = [(0.46 + x, 0.24 + y) for x, y in kit.scatter(len(strips), 0.24, 0.2)]
    peeler = assembled(
        unit,
        0.3,
        0.1,
        [(make.box(0.1, 0.09, STEEL), -0.1, 0), (make.box(0.2, 0.05, WOOD), 0.05, 0)],
    )

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        done = progress * len(strips)
        canvas.put(inside, -0.12, 0)
        for k in range(int(done), len(strips)):
            canvas.put(strips[k][0], -0.12, strips[k][2] / unit)
        for k in range(int(done)):
            canvas.put(curls[k], *heap[k])
        row = strips[min(int(done), len(strips) - 1)][2] / unit
        canvas.put(peeler, -0.12 + (beats % 1.0 - 0.5) * kit.size, row)

    return Scene(still=_board(kit, (188, 196, 190)), paint=paint)


def roll(kit: Kit) -> Scene:
    """A rolling pin goes to and fro; the item grows wide and flat under it."""
    make = kit.workshop
    whole = kit.sprite(0.9)
    widths = np.linspace(1.0, 1.95, 10)
    flats = [stretched(whole, width, 1.0 / width**0.6) for width in widths]
    pin = assembled(
        make.unit,
        0.16,
        0.86,
        [(make.box(0.06, 0.86, DARK_STEEL), 0, 0), (make.box(0.16, 0.62, WOOD), 0, 0)],
    )
    flour = make.haze(0.11, 0.05, (250, 248, 240))
    dust = [(flour, x, 0.08 + y) for x, y in kit.scatter(26, 1.15, 0.5)]

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        canvas.put(flats[min(int(progress * len(flats)), len(flats) - 1)], 0, 0.06)
        canvas.put(pin, 0.42 * math.sin(math.pi * beats), 0.04)

    return Scene(still=[*_board(kit), *dust], paint=paint)


def grate(kit: Kit) -> Scene:
    """The item runs up and down a grater and wears away; shreds heap up in front of it."""
    make, unit = kit.workshop, kit.workshop.unit
    sizes = [kit.sprite(share) for share in np.linspace(0.85, 0.3, 8)]
    u, v = make.grid(0.4, 0.62)
    holes = (np.sin(26 * u) * np.sin(34 * v)) > 0.45
    plate = make.shape(abs(u) < 0.78 + 0.2 * v, STEEL, np.where(holes, 0.4, 1.0))
    shred = make.box(0.1, 0.024, kit.rgb)
    shreds = [turned(shred, angle) for angle in make.random.uniform(0, math.pi, 9)]
    heap = [(shreds[k % 9], x, y) for k, (x, y) in enumerate(kit.scatter(140, 1.05, 0.26))]
    heaps = [assembled(unit, 1.15, 0.4, heap[: 18 * k]) for k in range(1, 9)]

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        level = min(int(progress * 8), 7)
        canvas.put(sizes[level], 0.26, -0.18 + 0.2 * math.cos(2 * math.pi * beats))
        canvas.put(heaps[level], 0, 0.3)

    return Scene(still=[*_board(kit, (150, 158, 170)), (plate, 0.0, -0.12)], paint=paint)
