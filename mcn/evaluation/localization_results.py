"""What a run achieved on a benchmark of steps, video by video: part of its `results.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHANCE = "chance"
"""Stands in the place of what steps are compared with, for what is reached without looking."""


@dataclass(frozen=True, kw_only=True)
class LocalizationResults:
    """Measures of every video that has features."""

    title: str
    num_without_features: int
    """Annotated videos without features, which are left out."""
    num_missing: Mapping[str, int]
    """Videos that lack what steps are compared with, by way of comparing: nothing is found."""
    video_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    """The task of each video."""
    num_present: tuple[int, ...]
    """Steps that are seen in each video."""
    measured: Mapping[str, Mapping[str, tuple[float | None, ...]]]
    """By measure (`step_videos`), and by what steps are compared with; `chance` is one of these.
    One value a video: steps found, or an overlap; None where there is nothing to measure."""

    def allows(self, direction: str) -> bool:
        """Whether the model's spaces compare steps so."""
        return all(direction in by_input for by_input in self.measured.values())


def localization_from_json(values: Mapping[str, Any]) -> LocalizationResults:
    """The results that `dataclasses.asdict` made into plain values.

    Raises:
        KeyError: Something is missing.
        ValueError: Lists do not match.
    """
    measured = {
        measure: {key: tuple(numbers) for key, numbers in by_input.items()}
        for measure, by_input in values["measured"].items()
    }
    lists = [values["tasks"], values["num_present"]]
    lists += [numbers for by_input in measured.values() for numbers in by_input.values()]
    if any(len(numbers) != len(values["video_ids"]) for numbers in lists):
        raise ValueError(f"there are {len(values['video_ids'])} videos, but not as many values")
    return LocalizationResults(
        title=values["title"],
        num_without_features=values["num_without_features"],
        num_missing=dict(values["num_missing"]),
        video_ids=tuple(values["video_ids"]),
        tasks=tuple(values["tasks"]),
        num_present=tuple(values["num_present"]),
        measured=measured,
    )
