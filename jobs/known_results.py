"""Zero-shot results that are written down, as far as they can stand in one report."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from mcn.evaluation.nothing import nothing_evaluated
from mcn.evaluation.results import MissingAudio, RunResults, read_results
from mcn.sha256 import file_sha256
from mcn.training.run_folder import RunFolder


class _OfVideos(Protocol):
    @property
    def video_ids(self) -> tuple[str, ...]: ...


Part = TypeVar("Part", bound=_OfVideos)


def known_results(run: RunFolder) -> RunResults | None:
    """What is written down for this very checkpoint, where it can be read."""
    path = run.path / "results.json"
    if not (path.exists() and run.final.exists()):
        return None
    try:
        known = read_results(path)
    except ValueError:
        print(f"{path} is of an earlier version or damaged, and made again")
        return None
    return known if known.checkpoint_sha256 == file_sha256(run.final) else None


def results_that_agree(runs: Sequence[RunFolder], missing_audio: MissingAudio) -> list[RunResults]:
    """Of each run what is written down, without what was measured otherwise than asked or on other
    videos than that of most runs; says what is left out.
    """
    found = []
    for run in runs:
        known = known_results(run) or nothing_evaluated(run)
        if known.benchmarks and known.missing_audio != missing_audio:
            print(
                f"{known.run}: its retrieval is left out of the report, since it was evaluated "
                f"with --missing-audio {known.missing_audio}: --task retrieval evaluates it again"
            )
            known = nothing_evaluated(run)
        found.append(known)
    benchmarks = _of_equal_videos({known.run: known.benchmarks for known in found})
    localization = _of_equal_videos({known.run: known.localization for known in found})
    return [
        dataclasses.replace(
            known, benchmarks=benchmarks[known.run], localization=localization[known.run]
        )
        for known in found
    ]


def _of_equal_videos(found: Mapping[str, Mapping[str, Part]]) -> dict[str, dict[str, Part]]:
    """By run and benchmark, without those on other videos than most."""
    kept: dict[str, dict[str, Part]] = {run: {} for run in found}
    for key in dict.fromkeys(key for parts in found.values() for key in parts):
        having = {run: parts[key] for run, parts in found.items() if key in parts}
        ((usual, _),) = Counter(part.video_ids for part in having.values()).most_common(1)
        for run, part in having.items():
            if part.video_ids == usual:
                kept[run][key] = part
            else:
                print(
                    f"{run}: its results on {key} are of other videos than those of most runs and "
                    "left out of the report: --task retrieval makes them again"
                )
    return kept
