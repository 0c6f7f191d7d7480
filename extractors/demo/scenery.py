"""The kitchen behind the work: a wall, a table top and things standing about, never twice alike."""

import numpy as np
from jaxtyping import Float, UInt32

from extractors.demo.canvas import Canvas, pack
from extractors.demo.items import item_sprite
from extractors.demo.shapes import Workshop
from extractors.demo.world import COLOURS, ITEMS

Surface = Float[np.ndarray, "height width"]

WALLS = ((198, 190, 178), (150, 168, 176), (186, 200, 182), (128, 122, 134), (214, 204, 168))
TABLES = ((128, 88, 58), (176, 148, 112), (96, 100, 106), (204, 200, 194), (84, 66, 58))


def _planks(x: Surface, y: Surface, random: np.random.Generator) -> Surface:
    """Boards with a wavy grain."""
    grain = np.sin(40 * y + 3 * np.sin(2.2 * x + random.uniform(0, 6)))
    seams = (y * random.uniform(3, 5)) % 1 < 0.05
    return np.where(seams, 0.7, 1 + 0.07 * grain)


def _checks(x: Surface, y: Surface, random: np.random.Generator) -> Surface:
    """A cloth in two tones."""
    scale = random.uniform(3, 6)
    return np.where((x * scale % 1 < 0.5) ^ (y * scale % 1 < 0.5), 1.0, 0.8)


def _tiles(x: Surface, y: Surface, random: np.random.Generator) -> Surface:
    """Tiles with dark joints."""
    scale = random.uniform(3, 6)
    return np.where((x * scale % 1 < 0.06) | (y * scale % 1 < 0.06), 0.75, 1.0)


def _stripes(x: Surface, y: Surface, random: np.random.Generator) -> Surface:
    """Upright stripes."""
    return np.where(x * random.uniform(4, 9) % 1 < 0.5, 1.0, 0.88)


def _stone(x: Surface, y: Surface, random: np.random.Generator) -> Surface:
    """Speckles, coarse enough to survive compression."""
    speckles = random.normal(0, 0.07, (x.shape[0] // 4 + 1, x.shape[1] // 4 + 1))
    return 1 + speckles.repeat(4, 0).repeat(4, 1)[: x.shape[0], : x.shape[1]]


def kitchen(workshop: Workshop, *, height: int, width: int) -> UInt32[np.ndarray, "height width"]:
    """An empty kitchen: wall above, table below, light from one side, a few things at the edge."""
    random = workshop.random
    y, x = np.mgrid[:height, :width].astype(np.float32) / workshop.unit
    horizon = random.uniform(0.18, 0.34) * height / workshop.unit
    walls, tables = (_tiles, _stripes, _stone), (_planks, _checks, _stone)
    wall = walls[random.integers(len(walls))](x, y, random)
    table = tables[random.integers(len(tables))](x, y, random)
    is_wall = y < horizon
    shade = np.where(is_wall, wall, table)
    angle = random.uniform(0, 2 * np.pi)
    shade *= 1 + random.uniform(0.05, 0.22) * np.sin(1.3 * (x * np.cos(angle) + y * np.sin(angle)))
    edge = abs(y - horizon) < 0.012
    rgb = np.where(is_wall[..., None], random.choice(WALLS), random.choice(TABLES))
    rgb = rgb * workshop.light * np.where(edge, 0.6, shade)[..., None]
    pixels = pack(rgb.astype(np.float32))
    canvas = Canvas(pixels, unit=workshop.unit, centre_x=0.0, centre_y=0.0, facing=1)
    for _ in range(int(random.integers(2, 5))):
        prop = item_sprite(
            workshop,
            str(random.choice(ITEMS)),
            COLOURS[str(random.choice(list(COLOURS)))],
            random.uniform(0.1, 0.17),
        )
        side = random.choice([0.06, 0.94]) + random.uniform(-0.05, 0.05)
        canvas.put(prop, side * width / workshop.unit, horizon + random.uniform(-0.04, 0.3))
    return pixels
