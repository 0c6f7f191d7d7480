"""What an action is given to work with, and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from extractors.demo.canvas import Canvas, Sprite
from extractors.demo.items import item_sprite
from extractors.demo.shapes import Workshop

STEEL = (176, 182, 190)
DARK_STEEL = (74, 78, 86)
WOOD = (156, 104, 60)
PALE_WOOD = (222, 186, 134)
WATER = (120, 170, 206)

Placed = tuple[Sprite, float, float]
"""A sprite and where its centre stands, in units from the centre of the work."""


@dataclass(frozen=True, kw_only=True)
class Kit:
    """The item of one step, in its colour and size, and the workshop that made it."""

    workshop: Workshop
    item: str
    rgb: tuple[float, float, float]
    size: float
    """Width of the whole item in units."""

    def sprite(self, size: float = 1.0) -> Sprite:
        """The item, as a share of its full size."""
        return item_sprite(self.workshop, self.item, self.rgb, self.size * size)

    def scatter(self, count: int, width: float, height: float) -> list[tuple[float, float]]:
        """Places spread at random over an oval around the centre."""
        random = self.workshop.random
        places: list[tuple[float, float]] = []
        while len(places) < count:
            u, v = random.uniform(-1, 1, 2)
            if u * u + v * v <= 1:
                places.append((u * width / 2, v * height / 2))
        return places


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One step as it is drawn."""

    still: Sequence[Placed]
    """What does not move and is painted into the background once."""
    paint: Callable[[Canvas, float, float], None]
    """Draws what moves, given the step's progress from 0 to 1 and the beats since its start."""
