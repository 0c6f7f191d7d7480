"""What is compared with what, under the field's names: what is asked with, 2, what is found.

    t2va, t2v, t2a      a sentence finds clips by what is seen and heard of them
    va2t, v2t, a2t      a clip finds sentences
    v2a, a2v            what is seen of a clip finds what is heard, and the other way round

A space can if it holds everything on both sides. Of two that can, the one of fewer modalities is
the finer, and is used: MMV's fine space for video and audio. Steps in videos are looked for by
sentences alone; the turned matrix would be the same, and `second by second` reads it so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mcn.modality import Modality, Space


@dataclass(frozen=True)
class Direction:
    """What is asked with, and what is found; two modalities are added up."""

    query: tuple[Modality, ...]
    items: tuple[Modality, ...]

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return *self.query, *self.items


DIRECTIONS: dict[str, Direction] = {
    "t2va": Direction(("text",), ("video", "audio")),
    "t2v": Direction(("text",), ("video",)),
    "t2a": Direction(("text",), ("audio",)),
    "va2t": Direction(("video", "audio"), ("text",)),
    "v2t": Direction(("video",), ("text",)),
    "a2t": Direction(("audio",), ("text",)),
    "v2a": Direction(("video",), ("audio",)),
    "a2v": Direction(("audio",), ("video",)),
}
"""In the order in which tables show them."""

BY_SENTENCES = tuple(key for key, direction in DIRECTIONS.items() if direction.query == ("text",))
"""Those in which sentences are what is asked with."""


def spaces_of_directions(spaces: Mapping[Space, tuple[Modality, ...]]) -> dict[str, Space]:
    """The space in which each direction is compared; without those that no space can.

    Args:
        spaces: Of a model: which modalities come together in which.
    """
    can = {
        key: [space for space, held in spaces.items() if set(held) >= set(direction.modalities)]
        for key, direction in DIRECTIONS.items()
    }
    return {key: min(found, key=lambda s: len(spaces[s])) for key, found in can.items() if found}
