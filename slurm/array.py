"""Tasks of a job array, as SLURM writes them: `0-899`, `3,7,20-29`, `0-898:2`, `0-899%64`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

PART = r"\d+(?:-\d+(?::\d+)?)?"


@dataclass(frozen=True)
class Array:
    """Indices in rising order, and how many may run at once."""

    indices: tuple[int, ...]
    max_running: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Array":
        """Read SLURM's notation.

        Raises:
            ValueError: The text is none.
        """
        match = re.fullmatch(rf"({PART}(?:,{PART})*)(?:%(\d+))?", text)
        if match is None:
            raise ValueError(
                f"--array {text!r} is none: write 0-899, 3,7,20-29, 0-898:2 or 0-899%64"
            )
        indices: set[int] = set()
        for part in match[1].split(","):
            first, _, rest = part.partition("-")
            last, _, step = rest.partition(":")
            if last and int(last) < int(first):
                raise ValueError(f"--array {text!r}: {part} runs backwards")
            if step and not int(step):
                raise ValueError(f"--array {text!r}: {part} has a step of 0")
            indices.update(range(int(first), int(last or first) + 1, int(step or 1)))
        if match[2] == "0":
            raise ValueError(f"--array {text!r} lets no task run")
        return cls(tuple(sorted(indices)), int(match[2]) if match[2] else None)


def range_text(indices: Iterable[int]) -> str:
    """Indices as SLURM writes them, in rising order: `3,7,20-29`."""
    ranges: list[tuple[int, int]] = []
    for index in sorted(set(indices)):
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = (ranges[-1][0], index)
        else:
            ranges.append((index, index))
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)
