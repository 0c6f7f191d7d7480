"""The pictures of a story: what one frame shows at one time."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8, UInt32

from extractors.demo import cooking, cutting
from extractors.demo.canvas import Canvas, unpack
from extractors.demo.dice import dice
from extractors.demo.scene import Kit, Scene
from extractors.demo.scenery import kitchen
from extractors.demo.shapes import Workshop
from extractors.demo.stories import Step, Story
from extractors.demo.world import COLOURS

SCENES = {
    "chop": cutting.chop,
    "peel": cutting.peel,
    "stir": cooking.stir,
    "pour": cooking.pour,
    "fry": cooking.fry,
    "roll": cutting.roll,
    "grate": cutting.grate,
    "boil": cooking.boil,
}

SWAY_PIXELS = 8
"""How far a hand-held camera strays to each side."""


class Film:
    """Draws the frames of one story at any size. Two films of the same story are alike."""

    def __init__(self, story: Story, *, seed: int, height: int, width: int) -> None:
        self.story = story
        self.seed = seed
        self._frame = np.empty((height, width), np.uint32)
        random = dice(seed, "look", story.video_id)
        light = random.uniform(0.78, 1.12) * random.uniform(0.94, 1.06, 3)
        unit = min(height, width) * random.uniform(0.82, 0.98)
        self._workshop = Workshop(unit=unit, light=light.astype(np.float32), random=random)
        self._kitchen = kitchen(
            self._workshop, height=height + 2 * SWAY_PIXELS, width=width + 2 * SWAY_PIXELS
        )
        self._sway = random.uniform(0.5, 1.4, 2), random.uniform(0, 6.3, 2)
        self._facing = int(random.choice([-1, 1]))

    def frames(self, times: Iterable[float]) -> Iterator[UInt8[np.ndarray, "height width 4"]]:
        """RGBA frames at rising times in seconds; each only lasts until the next is asked for."""
        steps = iter(self.story.steps)
        step = next(steps)
        scene, background, place = self._set_up(step)
        for seconds in times:
            while seconds >= step.end_seconds and (following := next(steps, None)) is not None:
                step = following
                scene, background, place = self._set_up(step)
            since = min(max(seconds, step.start_seconds), step.end_seconds) - step.start_seconds
            canvas = self._backdrop(background, place, seconds)
            progress = since / (step.end_seconds - step.start_seconds)
            scene.paint(canvas, progress, since * step.beats_per_second)
            yield unpack(self._frame)

    def _set_up(
        self, step: Step
    ) -> tuple[Scene, UInt32[np.ndarray, "height width"], tuple[float, float]]:
        """The scene of a step, its background with all that stands still, and where it is."""
        random = dice(self.seed, "step", self.story.video_id, str(step.start_seconds))
        make = Workshop(unit=self._workshop.unit, light=self._workshop.light, random=random)
        colour = np.array(COLOURS[step.deed.colour]) + random.uniform(-14, 14, 3)
        kit = Kit(
            workshop=make,
            item=step.deed.item,
            rgb=(float(colour[0]), float(colour[1]), float(colour[2])),
            size=random.uniform(0.56, 0.7),
        )
        scene = SCENES[step.deed.action](kit)
        background = self._kitchen.copy()
        height, width = self._frame.shape
        place = (
            width * random.uniform(0.42, 0.58) + SWAY_PIXELS,
            height * random.uniform(0.53, 0.62) + SWAY_PIXELS,
        )
        canvas = self._canvas(background, place)
        for sprite, x, y in scene.still:
            canvas.put(sprite, x, y)
        return scene, background, place

    def _backdrop(
        self,
        background: UInt32[np.ndarray, "tall wide"],
        place: tuple[float, float],
        seconds: float,
    ) -> Canvas:
        """The frame with the background as the swaying camera sees it, ready to draw on."""
        speeds, phases = self._sway
        left = round(SWAY_PIXELS * (1 + math.sin(speeds[0] * seconds + phases[0])))
        top = round(SWAY_PIXELS * (1 + math.sin(speeds[1] * seconds + phases[1])))
        height, width = self._frame.shape
        np.copyto(self._frame, background[top : top + height, left : left + width])
        return self._canvas(self._frame, (place[0] - left, place[1] - top))

    def _canvas(
        self, pixels: UInt32[np.ndarray, "height width"], place: tuple[float, float]
    ) -> Canvas:
        return Canvas(
            pixels,
            unit=self._workshop.unit,
            centre_x=place[0],
            centre_y=place[1],
            facing=self._facing,
        )
