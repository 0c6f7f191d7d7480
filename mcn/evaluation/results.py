"""What a run achieved: the contents of its `results.json`.

`dataclasses.asdict` of a `RunResults` gives the values of the file that `read_results` reads.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mcn.evaluation.localization_results import LocalizationResults, localization_from_json
from mcn.modality import Space

MissingAudio = Literal["miss", "leave-out"]
"""What becomes of a clip without audio: it is never found by audio, as published, or there is no
such clip."""


@dataclass(frozen=True, kw_only=True)
class FoundClip:
    """A clip that a sentence found, and how well it fits."""

    video_id: str
    start_seconds: float
    end_seconds: float
    score: float
    is_own: bool
    """Whether it is the clip that the sentence describes."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A sentence, the clip it describes, and the clips it found, best first."""

    text: str
    video_id: str
    start_seconds: float
    end_seconds: float
    rank: int
    """Wrong clips before the right one."""
    found: tuple[FoundClip, ...]


@dataclass(frozen=True, kw_only=True)
class QueryRanks:
    """Rank of every clip's own item in one direction: of a sentence, its clip."""

    ranks: tuple[int, ...]
    num_missing: int
    """Clips that lack an input that is compared with; they count as never found."""
    num_unasked: int
    """Clips that lack an input that is asked with, sentences without a known word included; they
    find nothing."""
    space: Space
    """In which they were compared."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkResults:
    """What a run achieved on one benchmark."""

    title: str
    num_queries: int
    num_left_out: int
    """Clips without audio that were left out: neither asked for nor found."""
    queries: Mapping[str, QueryRanks]
    """By direction (`directions`), without those that the model's spaces do not allow."""
    video_ids: tuple[str, ...]
    """The video of each clip."""
    examples: tuple[Example, ...]
    examples_direction: str
    """In which they were found: the first that the model's spaces allow."""


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """What a run is, and what it achieved."""

    run: str
    stage: str
    seed: int
    control: str
    """`none`, or what was taken from the run so that it cannot learn."""
    checkpoint_sha256: str
    missing_audio: MissingAudio
    benchmarks: Mapping[str, BenchmarkResults]
    localization: Mapping[str, LocalizationResults]
    """Of benchmarks of steps."""
    model: str = "mcn"
    """`mcn`, or `mmv-` and its spaces."""


def read_results(path: Path) -> RunResults:
    """The results that an evaluation wrote.

    Raises:
        ValueError: The file is no results file, or its lists do not match.
    """
    try:
        values = json.loads(path.read_text())
        benchmarks = {key: _benchmark(part) for key, part in values.pop("benchmarks").items()}
        localization = {
            key: localization_from_json(part) for key, part in values.pop("localization").items()
        }
        return RunResults(**values, benchmarks=benchmarks, localization=localization)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as results of a run ({type(error).__name__}: {error}): "
            "remove it and evaluate the run again"
        ) from error


def _benchmark(values: dict[str, Any]) -> BenchmarkResults:
    queries = {
        key: QueryRanks(**{**part, "ranks": tuple(part["ranks"])})
        for key, part in values["queries"].items()
    }
    lengths = {key: len(part.ranks) for key, part in queries.items()}
    lengths["video_ids"] = len(values["video_ids"])
    differing = {key: length for key, length in lengths.items() if length != values["num_queries"]}
    if differing:
        raise ValueError(
            f"num_queries is {values['num_queries']}, but of entries there are {differing}"
        )
    examples = tuple(
        Example(**{**part, "found": tuple(FoundClip(**clip) for clip in part["found"])})
        for part in values["examples"]
    )
    return BenchmarkResults(
        title=values["title"],
        num_queries=values["num_queries"],
        num_left_out=values["num_left_out"],
        queries=queries,
        video_ids=tuple(values["video_ids"]),
        examples=examples,
        examples_direction=values["examples_direction"],
    )
