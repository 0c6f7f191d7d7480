"""What is compared with what, in words, and which space of a model it was compared in."""

from collections.abc import Sequence

from mcn.evaluation.results import RunResults

BY_SENTENCES = {"t2va": "video + audio", "t2v": "video alone", "t2a": "audio alone"}
"""What sentences are compared with."""

OTHERS = {
    "va2t": "sentences, by video + audio (va2t)",
    "v2t": "sentences, by video (v2t)",
    "a2t": "sentences, by audio (a2t)",
    "v2a": "audio, by video (v2a)",
    "a2v": "video, by audio (a2v)",
}
"""What is found by what, where it is not clips by sentences."""

NOT_COMPARABLE = "in no space with text"
"""Said of a direction that a model's spaces do not allow: each has one of video and audio."""


def named(direction: str, *, is_comparable: bool = True) -> str:
    """A direction in words, with what is said where the model's spaces do not allow it."""
    name = {**BY_SENTENCES, **OTHERS}.get(direction, direction)
    return name if is_comparable else f"{name}: {NOT_COMPARABLE}"


def space_notes(runs: Sequence[RunResults]) -> list[str]:
    """A sentence for each model that has several spaces: which direction is compared in which."""
    used: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        for part in run.benchmarks.values():
            for direction, queries in part.queries.items():
                directions = used.setdefault(run.model, {}).setdefault(queries.space, [])
                if direction not in directions:
                    directions.append(direction)
    return [
        f"{model}: "
        + "; ".join(f"{listed(keys)} in the space {space}" for space, keys in by_space.items())
        + "."
        for model, by_space in used.items()
        if len(by_space) > 1
    ]


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
