"""What may be wanted of a resized file: kinds of streams, in words that reach another process."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pictures:
    """The picture at each full second, as it is stored."""


@dataclass(frozen=True)
class MovingPictures:
    """Pictures at an even rate, scaled and cut to what a network takes."""

    fps: int
    size: tuple[int, ...]
    """Height and width to scale to; or the length of the short side alone."""
    crop: tuple[int, int]
    """Height and width of the middle that is kept of it."""


@dataclass(frozen=True)
class Sound:
    """The sound in mono."""

    sample_rate: int


Stream = Pictures | MovingPictures | Sound

KINDS: dict[str, Callable[..., Stream]] = {
    kind.__name__: kind for kind in (Pictures, MovingPictures, Sound)
}


def to_words(stream: Stream) -> dict[str, Any]:
    """The stream as JSON can hold it."""
    return {"kind": type(stream).__name__, **dataclasses.asdict(stream)}


def from_words(words: dict[str, Any]) -> Stream:
    """The stream that `to_words` wrote, maybe by way of JSON."""
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in words.items() if k != "kind"}
    return KINDS[words["kind"]](**fields)
