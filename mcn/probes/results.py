"""What probes of a run achieved: the contents of its `probe.json`.

The file grows part by part, each a way of classifying on one split of one benchmark, so that what
was done before a kill stays done.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcn.probes.settings import Way
from mcn.training.run_folder import replace_text


@dataclass(frozen=True, kw_only=True)
class Part:
    """One way on one split."""

    way: Way
    looks_at: str
    """`video`, `audio` or `both`."""
    split: int
    """Counted from 0."""
    data: str
    """Digest of the annotation and of what clips are read from."""
    settings: Mapping[str, str | int | float]
    """Those that decide the outcome of this way."""
    ranks: tuple[int, ...]
    """Of each test video: how many other classes are at least as likely as its own; as many as
    there are classes where nothing is there to classify."""
    missing: Mapping[str, str]
    """Why test videos could not be classified."""
    num_left_out: int
    """Training videos without features."""
    num_untaught: int
    """Classes that have too few training videos with features, so that they are never named."""
    chosen: Mapping[str, float]
    """Among the training videos: C, or epochs."""


@dataclass(frozen=True, kw_only=True)
class TestSide:
    """What is tested in a split, and what knowing nothing but the training labels gives."""

    video_ids: tuple[str, ...]
    groups: tuple[str, ...]
    """What each video was cut from."""
    chance: tuple[float, float]
    """Top-1 and top-5 of the most frequent training classes."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkProbes:
    """All parts on one benchmark."""

    title: str
    num_classes: int
    splits: tuple[TestSide, ...]
    parts: tuple[Part, ...]
    skipped: Mapping[str, str]
    """Inputs by which nothing could be classified, and why."""

    def of(self, way: Way, looks_at: str) -> list[Part]:
        """Of all splits, in their order; nothing where one is not done, or not as the others."""
        found = [part for part in self.parts if (part.way, part.looks_at) == (way, looks_at)]
        is_whole = len(found) == len(self.splits) and all(
            (part.data, part.settings) == (found[0].data, found[0].settings) for part in found
        )
        return sorted(found, key=lambda part: part.split) if is_whole else []


@dataclass(frozen=True, kw_only=True)
class ProbeResults:
    """What a run is, and what was achieved by standing on it."""

    run: str
    model: str
    """`features` for those of the store, without any model."""
    stage: str
    seed: int
    control: str
    checkpoint_sha256: str
    benchmarks: Mapping[str, BenchmarkProbes]


def write_probes(path: Path, results: ProbeResults) -> None:
    """The whole file, by rename."""
    replace_text(path, json.dumps(dataclasses.asdict(results), indent=1) + "\n")


def read_probes(path: Path) -> ProbeResults:
    """What `write_probes` wrote.

    Raises:
        ValueError: The file is no such file, or its lists do not match.
    """
    try:
        values = json.loads(path.read_text())
        benchmarks = {key: _benchmark(part) for key, part in values.pop("benchmarks").items()}
        return ProbeResults(**values, benchmarks=benchmarks)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as probes of a run ({type(error).__name__}: {error}): "
            "remove it and probe the run again"
        ) from error


def _benchmark(values: dict[str, Any]) -> BenchmarkProbes:
    splits = tuple(
        TestSide(
            video_ids=tuple(side["video_ids"]),
            groups=tuple(side["groups"]),
            chance=tuple(side["chance"]),
        )
        for side in values["splits"]
    )
    parts = tuple(Part(**{**part, "ranks": tuple(part["ranks"])}) for part in values["parts"])
    for part in parts:
        if len(part.ranks) != len(splits[part.split].video_ids):
            raise ValueError(
                f"split {part.split + 1} has {len(splits[part.split].video_ids)} videos, and "
                f"{part.way} {len(part.ranks)} ranks"
            )
    return BenchmarkProbes(
        title=values["title"],
        num_classes=values["num_classes"],
        splits=splits,
        parts=parts,
        skipped=values["skipped"],
    )
