"""Scenes of work in a vessel: stir, pour, fry, boil."""

import math

import numpy as np

from extractors.demo.canvas import Canvas, assembled, cut, toned, turned
from extractors.demo.scene import DARK_STEEL, STEEL, WATER, WOOD, Kit, Placed, Scene

CERAMIC = (214, 206, 196)
IRON = (40, 40, 44)


def stir(kit: Kit) -> Scene:
    """A spoon circles in a bowl; bits of the item and streaks of its juice go round with it."""
    make, unit = kit.workshop, kit.workshop.unit
    u, v = make.grid(0.8, 0.8)
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    swirl = np.where(np.sin(2 * angle + 9 * radius) > 0, 0.85, 0.5)
    juice = make.shape(radius < 1, kit.rgb, swirl)
    # A bowl seen at a slant: turn the round juice, then leave out every third of its rows.
    rows = np.flatnonzero(np.arange(turned(juice, 0.0).height) % 10 < 6)
    juices = []
    for k in range(16):
        whole = turned(juice, 2 * math.pi * k / 16)
        flat = type(whole)(whole.pixels[rows], whole.mask[rows])
        juices.append(flat)
    bit = kit.sprite(0.3)
    bits = [(r, phase) for r, phase in make.random.uniform((0.12, 0), (0.34, 6.3), (9, 2))]
    spoon = turned(
        assembled(
            unit,
            0.12,
            0.7,
            [(make.box(0.045, 0.6, WOOD), 0, -0.05), (make.disc(0.11, 0.16, WOOD), 0, 0.27)],
        ),
        0.5,
    )
    bowl = [(make.disc(1.0, 0.66, CERAMIC), 0.0, 0.06)]

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        canvas.put(juices[int(beats * 16) % 16], 0, 0.04)
        for r, phase in bits:
            shrunk = r * (1 - 0.5 * progress)
            at = phase + 2 * math.pi * beats * 0.8
            canvas.put(bit, shrunk * math.cos(at), 0.04 + 0.6 * shrunk * math.sin(at))
        turn = 2 * math.pi * beats
        canvas.put(spoon, 0.17 + 0.2 * math.cos(turn), -0.22 + 0.12 * math.sin(turn))

    return Scene(still=bowl, paint=paint)


def pour(kit: Kit) -> Scene:
    """A stream falls from a tilted jug, and a glass jar fills with it from the bottom."""
    make, unit = kit.workshop, kit.workshop.unit
    width, height = 0.62, 0.6
    bit = kit.sprite(0.24)
    pulp = [(bit, x, y) for x, y in make.random.uniform((-0.28, -0.29), (0.28, 0.29), (26, 2))]
    filling = assembled(unit, width, height, [(make.box(width, height, kit.rgb), 0, 0), *pulp])
    filling = toned(filling, 0.9)
    stream = make.box(0.08, 0.9, kit.rgb)
    drops = [(bit, phase) for phase in np.linspace(0, 1, 5, endpoint=False)]
    jug = turned(
        assembled(
            unit,
            0.46,
            0.36,
            [(make.box(0.32, 0.34, STEEL), 0, 0), (make.box(0.1, 0.2, DARK_STEEL), 0.19, 0)],
        ),
        -0.9,
    )
    glass = make.box(width + 0.08, height + 0.06, (206, 222, 226))

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        level = max(1, round(filling.height * min(0.06 + progress, 1.0)))
        surface = 0.36 - level / unit
        canvas.put(
            cut(stream, rows=slice(0, max(1, round((surface + 0.42) * unit)))),
            0,
            (surface - 0.42) / 2,
        )
        for drop, phase in drops:
            fallen = (beats / 5 + phase) % 1.0
            canvas.put(drop, 0.03 * math.sin(9 * phase), -0.42 + fallen * (surface + 0.42))
        canvas.put(
            cut(filling, rows=slice(filling.height - level, None)), 0, 0.36 - level / unit / 2
        )
        canvas.put(jug, 0.2, -0.46 + 0.02 * math.sin(beats))

    return Scene(still=[(glass, 0.0, 0.06)], paint=paint)


def fry(kit: Kit) -> Scene:
    """Pieces hop in a black pan among spitting fat, and all of it darkens."""
    make = kit.workshop
    piece = kit.sprite(0.5)
    browned = [toned(piece, tone) for tone in np.linspace(1.05, 0.35, 8)]
    places = [(-0.24, -0.04), (0.02, -0.1), (0.27, -0.02), (-0.12, 0.13), (0.15, 0.14)]
    spark = make.box(0.022, 0.022, (255, 250, 220))
    sparks = [kit.scatter(24, 0.85, 0.5) for _ in range(12)]
    smoke = make.haze(0.3, 0.2, (120, 120, 124))
    pan: list[Placed] = [
        (make.box(0.7, 0.1, IRON), 0.75, 0.02),
        (make.disc(1.12, 0.72, IRON), 0, 0.04),
        (make.disc(0.96, 0.58, (66, 60, 56)), 0, 0.04),
    ]

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        for k, (x, y) in enumerate(places):
            hop = 0.07 * abs(math.sin(math.pi * (beats / 2 + 0.37 * k)))
            canvas.put(browned[min(int(progress * 8), 7)], x, y - hop)
        for x, y in sparks[int(beats * 2) % len(sparks)]:
            canvas.put(spark, x, y)
        for k in range(int(progress * 5)):
            rise = (beats / 9 + k / 5) % 1.0
            canvas.put(smoke, 0.24 * math.sin(5 * k + 2 * rise), -0.2 - 0.45 * rise)

    return Scene(still=pan, paint=paint)


def boil(kit: Kit) -> Scene:
    """The item bobs in a pot of bubbling water; white steam gathers until it fills the picture."""
    make = kit.workshop
    piece = kit.sprite(0.62)
    bubble = make.disc(0.06, 0.05, (228, 240, 248))
    bubbles = kit.scatter(22, 0.8, 0.3)
    steam = [make.haze(0.28 + 0.05 * k, 0.2 + 0.04 * k, (246, 248, 250)) for k in range(7)]
    lanes = make.random.uniform(-0.4, 0.4, 14)
    wall = make.box(1.0, 0.42, DARK_STEEL)
    pot: list[Placed] = [
        (make.box(1.3, 0.09, IRON), 0, 0.1),
        (wall, 0, 0.24),
        (make.disc(1.0, 0.42, STEEL), 0, 0.03),
        (make.disc(0.92, 0.36, WATER), 0, 0.03),
    ]

    def paint(canvas: Canvas, progress: float, beats: float) -> None:
        bob = 0.04 * math.sin(math.pi * beats / 3)
        canvas.put(piece, -0.2, bob)
        canvas.put(piece, 0.2, 0.04 - bob)
        for k, (x, y) in enumerate(bubbles):
            if (beats + 0.41 * k) % 1.0 < 0.25 + 0.6 * progress:
                canvas.put(bubble, x, 0.03 + y)
        for k in range(int(progress * len(lanes))):
            rise = (beats / 14 + k / len(lanes)) % 1.0
            canvas.put(steam[int(rise * len(steam))], lanes[k] * (1 + rise), -0.1 - 0.75 * rise)

    return Scene(still=pot, paint=paint)
