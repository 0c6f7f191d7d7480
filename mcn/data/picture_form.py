"""In which form a model takes the pictures of a raw clip, and what is left to chance in that."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

ROW_DIM = 512
"""Numbers that the networks of raw clips make of a clip."""


@dataclass(frozen=True, kw_only=True)
class PictureForm:
    """By default scaled and cut as torchvision trains its R(2+1)D-18."""

    clip_frames: int = 16
    """Pictures of a clip, evenly spread over it."""
    picture_height: int = 128
    """That they are scaled to before they are cut."""
    picture_width: int = 171
    """The same, whatever their shape was."""
    picture_crop: int = 112
    """Height and width of what is seen of them."""
    shift_seconds: float = 0.5
    """How far a clip may begin before or after its place, where that is left to chance."""

    def __post_init__(self) -> None:
        """Refuses what cannot be cut."""
        if self.clip_frames < 1 or self.shift_seconds < 0:
            raise ValueError(
                f"clip_frames {self.clip_frames} must be 1 or more, and "
                f"shift_seconds {self.shift_seconds} not negative"
            )
        if not 1 <= self.picture_crop <= min(self.picture_height, self.picture_width):
            raise ValueError(
                f"picture_crop {self.picture_crop} is not within pictures of "
                f"{self.picture_width}x{self.picture_height}"
            )


class View(NamedTuple):
    """How one clip is looked at."""

    late_seconds: float
    """How much later than its place it begins."""
    top: int
    """Where the part that is seen begins."""
    left: int
    is_mirrored: bool


def view_of(form: PictureForm, *, number: int, draw: int | None) -> View:
    """Decided by the draw and the number of the clip alone; the middle without a draw."""
    room = form.picture_height - form.picture_crop, form.picture_width - form.picture_crop
    if draw is None:
        return View(0.0, room[0] // 2, room[1] // 2, False)
    chance = np.random.default_rng([draw, number])
    return View(
        late_seconds=float(chance.uniform(-form.shift_seconds, form.shift_seconds)),
        top=int(chance.integers(room[0] + 1)),
        left=int(chance.integers(room[1] + 1)),
        is_mirrored=bool(chance.integers(2)),
    )
