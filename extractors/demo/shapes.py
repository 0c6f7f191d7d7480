"""Plain shapes in the kitchen's light, from which tools and dishes are put together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from extractors.demo.canvas import Sprite, pack

OUTLINE = 0.55
"""How bright the rim of a shape is beside its inside."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Makes sprites for one video: its scale in pixels, its light, its dice."""

    unit: float
    """Pixels of one unit of length, about the shorter side of the frame."""
    light: Float[np.ndarray, "3"]
    """Brightness of red, green and blue; 1 is plain daylight."""
    random: np.random.Generator

    def shape(
        self,
        mask: Bool[np.ndarray, "height width"],
        rgb: Sequence[float],
        shade: Float[np.ndarray, "height width"] | float = 1.0,
    ) -> Sprite:
        """A shape filled with one colour, brighter or darker by `shade`."""
        lit = np.asarray(rgb, np.float32) * self.light
        shades = np.broadcast_to(np.asarray(shade, np.float32), mask.shape)
        return Sprite(pack(shades[..., None] * lit), mask)

    def box(self, width: float, height: float, rgb: Sequence[float]) -> Sprite:
        """A rectangle with a darker rim; width and height in units."""
        u, v = self.grid(width, height)
        rim = np.maximum(abs(u) - 1, -1) > -4 / max(4.1, width * self.unit)
        rim |= abs(v) > 1 - 4 / max(4.1, height * self.unit)
        return self.shape(np.ones(u.shape, bool), rgb, np.where(rim, OUTLINE, 1.0))

    def disc(self, width: float, height: float, rgb: Sequence[float]) -> Sprite:
        """An ellipse with a darker rim; width and height in units."""
        u, v = self.grid(width, height)
        radius = np.hypot(u, v)
        rim = radius > 1 - 4 / max(4.1, min(width, height) * self.unit)
        return self.shape(radius <= 1, rgb, np.where(rim, OUTLINE, 1.0))

    def haze(self, width: float, height: float, rgb: Sequence[float]) -> Sprite:
        """An ellipse that lets half of what is behind it through, pixel by pixel."""
        u, v = self.grid(width, height)
        rows, columns = np.indices(u.shape)
        return self.shape((np.hypot(u, v) <= 1) & ((rows + columns) % 2 == 0), rgb)

    def grid(
        self, width: float, height: float
    ) -> tuple[Float[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
        """Coordinates from -1 to 1 across and down a rectangle measured in units."""
        rows, columns = max(2, round(height * self.unit)), max(2, round(width * self.unit))
        v, u = np.meshgrid(
            np.linspace(-1, 1, rows, dtype=np.float32),
            np.linspace(-1, 1, columns, dtype=np.float32),
            indexing="ij",
        )
        return u, v
