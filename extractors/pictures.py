"""The picture at each full second of a resized video, as it is stored; without torch."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from extractors.media import MediaError, keyframes, probe

PICTURES_AT_ONCE = 32


def pictures_of(path: Path) -> Iterator[UInt8[np.ndarray, "some height width 3"]]:
    """RGB pictures a second apart, some at a time.

    Raises:
        MediaError: If the file cannot be read; "undecodable" if it shows no picture; "keyframes" if
            they are not a second apart; "shape" if they change their size; "truncated", after the
            last, if the file was cut off after it had been resized.
    """
    info = probe(path)
    pictures = _pictures_a_second_apart(path)
    num_pictures = 0
    while chunk := list(itertools.islice(pictures, PICTURES_AT_ONCE)):
        num_pictures += len(chunk)
        yield np.stack(chunk)
    if not num_pictures:
        raise MediaError("undecodable", f"{path}: none of its frames could be decoded")
    promised = math.ceil(info.num_frames / info.fps) if info.num_frames and info.fps else 1
    if num_pictures < promised:
        raise MediaError(
            "truncated",
            f"{path}: {num_pictures} of {promised} frames, one a second, could be decoded; "
            "remove the file and resize the video again",
        )


def _pictures_a_second_apart(path: Path) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    shape = None
    for second, (seconds, picture) in enumerate(keyframes(path)):
        if abs(seconds - second) > 1e-3:
            raise MediaError(
                "keyframes",
                f"{path}: a keyframe at {seconds:.3f} s where one at {second} s should be; "
                "jobs/resize.py makes videos with one a second",
            )
        shape = shape or picture.shape
        if picture.shape != shape:
            raise MediaError(
                "shape",
                f"{path}: pictures of {shape[1]}x{shape[0]} and of "
                f"{picture.shape[1]}x{picture.shape[0]}; "
                "remove the file and resize the video again",
            )
        yield picture
