"""Flat pictures cut out by a mask, and the canvas that they are laid on.

Pixels are bytes R, G, B, 255 seen as one uint32, so that laying a sprite is one masked copy:
a second of video costs milliseconds, where blending in floats would cost ten times more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt32


@dataclass(frozen=True)
class Sprite:
    """A picture of any outline: only pixels within the mask are drawn."""

    pixels: UInt32[np.ndarray, "height width"]
    mask: Bool[np.ndarray, "height width"]

    @property
    def height(self) -> int:
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])


def pack(rgb: Float[np.ndarray, "height width 3"]) -> UInt32[np.ndarray, "height width"]:
    """Colours of 0 to 255, clipped where they are beyond, as one number a pixel."""
    pixels = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    pixels[..., :3] = np.clip(rgb, 0, 255)
    return pixels.view(np.uint32)[..., 0]


def unpack(pixels: UInt32[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 4"]:
    """The same pixels as bytes, without a copy."""
    return pixels.view(np.uint8).reshape(*pixels.shape, 4)


def toned(sprite: Sprite, factor: float) -> Sprite:
    """The sprite made brighter or darker."""
    return Sprite(pack(unpack(sprite.pixels)[..., :3] * np.float32(factor)), sprite.mask)


def cut(sprite: Sprite, rows: slice = slice(None), columns: slice = slice(None)) -> Sprite:
    """A rectangle out of the sprite."""
    return Sprite(
        np.ascontiguousarray(sprite.pixels[rows, columns]),
        np.ascontiguousarray(sprite.mask[rows, columns]),
    )


def masked(sprite: Sprite, mask: Bool[np.ndarray, "height width"]) -> Sprite:
    """The part of the sprite that lies within another mask too."""
    return Sprite(sprite.pixels, sprite.mask & mask)


def stretched(sprite: Sprite, width_factor: float, height_factor: float) -> Sprite:
    """The sprite in another size, each pixel the nearest of the old one."""
    height = max(1, round(sprite.height * height_factor))
    width = max(1, round(sprite.width * width_factor))
    rows = np.arange(height) * sprite.height // height
    columns = np.arange(width) * sprite.width // width
    return Sprite(sprite.pixels[rows][:, columns], sprite.mask[rows][:, columns])


def turned(sprite: Sprite, radians: float) -> Sprite:
    """The sprite turned clockwise about its centre, in a square that holds it at any angle."""
    side = int(np.hypot(sprite.height, sprite.width)) + 1
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    rows = np.rint(y * np.cos(radians) - x * np.sin(radians) + (sprite.height - 1) / 2)
    columns = np.rint(y * np.sin(radians) + x * np.cos(radians) + (sprite.width - 1) / 2)
    inside = (rows >= 0) & (rows < sprite.height) & (columns >= 0) & (columns < sprite.width)
    rows = np.where(inside, rows, 0).astype(np.intp)
    columns = np.where(inside, columns, 0).astype(np.intp)
    return Sprite(sprite.pixels[rows, columns], sprite.mask[rows, columns] & inside)


class Canvas:
    """A frame under construction. Places are in units of `unit` pixels from the work's centre."""

    def __init__(
        self,
        pixels: UInt32[np.ndarray, "height width"],
        *,
        unit: float,
        centre_x: float,
        centre_y: float,
        facing: int,
    ) -> None:
        self.pixels = pixels
        self.unit = unit
        self.centre_x = centre_x
        self.centre_y = centre_y
        self.facing = facing
        """-1 shows the kitchen mirrored: what lies to the right stands on the left."""

    def put(self, sprite: Sprite, x: float, y: float) -> None:
        """Lay the sprite with its centre at (x, y); what lies beyond the frame is cut off."""
        frame_height, frame_width = self.pixels.shape
        left = round(self.centre_x + self.facing * x * self.unit - sprite.width / 2)
        top = round(self.centre_y + y * self.unit - sprite.height / 2)
        x0, x1 = max(left, 0), min(left + sprite.width, frame_width)
        y0, y1 = max(top, 0), min(top + sprite.height, frame_height)
        if x0 >= x1 or y0 >= y1:
            return
        inner = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        region = self.pixels[y0:y1, x0:x1]
        np.copyto(region, sprite.pixels[inner], where=sprite.mask[inner])


def assembled(
    unit: float, width: float, height: float, parts: Sequence[tuple[Sprite, float, float]]
) -> Sprite:
    """One sprite of several, laid in order at places counted in units from its centre."""
    shape = (max(1, round(height * unit)), max(1, round(width * unit)))
    # Alpha is 255 wherever something was drawn, so what stays 0 lies outside the mask.
    canvas = Canvas(
        np.zeros(shape, np.uint32),
        unit=unit,
        centre_x=shape[1] / 2,
        centre_y=shape[0] / 2,
        facing=1,
    )
    for sprite, x, y in parts:
        canvas.put(sprite, x, y)
    return Sprite(canvas.pixels, canvas.pixels > 0)
