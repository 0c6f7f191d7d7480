"""The picture at each full second of a resized video, as it is stored; without torch."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.container import InputContainer
from jaxtyping import UInt8

from extractors.media import KeyframeDecoder, MediaError, find_video, open_media, start_seconds
from extractors.track import MediaPacket, packets

PICTURES_AT_ONCE = 32


def pictures_of(path: Path) -> Iterator[UInt8[np.ndarray, "some height width 3"]]:
    """RGB pictures a second apart, some at a time.

    Raises:
        MediaError: If the file cannot be read, as `PictureTap` has it; "truncated", after the last,
            if the file was cut off after it had been resized.
    """
    with open_media(path) as container:
        tap = PictureTap(path, container)
        yield from itertools.chain.from_iterable(map(tap.push, packets(container, tap.stream)))
        yield from tap.finish()
        if tap.completeness < 1:
            raise MediaError(
                "truncated",
                f"{path}: {tap.num_pictures} of {tap.num_promised} frames, one a second, could be "
                "decoded; remove the file and run jobs/resize.py --retry all",
            )


class PictureTap:
    """Takes pictures a second apart from the packets of a resized video.

    Raises:
        MediaError: "no-video"; "keyframes" if they are not a second apart; "shape" if they change
            their size; "undecodable", at the end, if there was none.
    """

    def __init__(self, path: Path, container: InputContainer) -> None:
        self._path = path
        video = find_video(container)
        if video is None:
            raise MediaError("no-video", f"{path}: there is no video in it")
        self.stream = video
        self.num_pictures = 0
        rate = video.average_rate
        self.num_promised = math.ceil(video.frames / rate) if video.frames and rate else 1
        self._decoder = KeyframeDecoder(video, start_seconds(container))
        self._waiting: list[UInt8[np.ndarray, "height width 3"]] = []
        self._shape: tuple[int, ...] | None = None

    @property
    def completeness(self) -> float:
        """The share of the pictures that the file promised."""
        return min(1.0, self.num_pictures / self.num_promised)

    @property
    def num_errors(self) -> int:
        """At how many places it was damaged so far."""
        return self._decoder.track.num_errors

    def push(self, packet: MediaPacket) -> Iterator[UInt8[np.ndarray, "some height width 3"]]:
        for seconds, picture in self._decoder.push(packet):
            self._check(seconds, picture)
            self._waiting.append(picture)
            self.num_pictures += 1
            if len(self._waiting) == PICTURES_AT_ONCE:
                yield self._taken()

    def finish(self) -> Iterator[UInt8[np.ndarray, "some height width 3"]]:
        if self._waiting:
            yield self._taken()
        if not self.num_pictures:
            raise MediaError("undecodable", f"{self._path}: none of its frames could be decoded")

    def _taken(self) -> UInt8[np.ndarray, "some height width 3"]:
        pictures = np.stack(self._waiting)
        self._waiting.clear()
        return pictures

    def _check(self, seconds: float, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        second = self.num_pictures
        if abs(seconds - second) > 1e-3:
            raise MediaError(
                "keyframes",
                f"{self._path}: a keyframe at {seconds:.3f} s where one at {second} s should be; "
                "jobs/resize.py makes videos with one a second",
            )
        self._shape = self._shape or picture.shape
        if picture.shape != self._shape:
            raise MediaError(
                "shape",
                f"{self._path}: pictures of {self._shape[1]}x{self._shape[0]} and of "
                f"{picture.shape[1]}x{picture.shape[0]}; "
                "remove the file and run jobs/resize.py --retry all",
            )
