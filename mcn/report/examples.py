"""Sentences and the clips they found: a few of each order, with a frame of every clip."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcn.evaluation.results import Example, FoundClip, RunResults
from mcn.report.content import FrameLookup
from mcn.report.directions import named
from mcn.report.inline import data_uri

CLIPS_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A clip, with the frame in its middle as data URI where there is one."""

    clip: Example | FoundClip
    frame: str | None


@dataclass(frozen=True, kw_only=True)
class Search:
    """One sentence with its own clip and the clips it found, best first."""

    example: Example
    own: Picture
    found: list[Picture]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Searches of one run on one benchmark, from the best to the worst."""

    run: str
    benchmark: str
    compared_with: str
    """What the sentences found the clips by."""
    num_queries: int
    searches: list[Search]


def representatives(ranks: Sequence[int], count: int = 3) -> list[int]:
    """Positions of queries from the best to the worst, evenly spread: three have the median.

    Of equal ranks the earlier query comes first.
    """
    by_rank = sorted(range(len(ranks)), key=lambda query: (ranks[query], query))
    if len(by_rank) <= count:
        return by_rank
    return [by_rank[round(i * (len(by_rank) - 1) / (count - 1))] for i in range(count)]


def galleries(runs: Sequence[RunResults], frame: FrameLookup) -> list[Gallery]:
    """What the first run of every order found on every benchmark, controls left aside."""
    first: dict[tuple[str, str], RunResults] = {}
    for run in runs:
        if run.control == "none":
            first.setdefault((run.model, run.stage), run)
    return [
        Gallery(
            run=run.run,
            benchmark=part.title,
            compared_with=named(part.examples_direction),
            num_queries=part.num_queries,
            searches=[
                _search(part.examples[position], key, frame)
                for position in representatives([example.rank for example in part.examples])
            ],
        )
        for run in first.values()
        for key, part in run.benchmarks.items()
        if part.examples
    ]


def _search(example: Example, benchmark: str, frame: FrameLookup) -> Search:
    return Search(
        example=example,
        own=_picture(example, benchmark, frame),
        found=[_picture(clip, benchmark, frame) for clip in example.found[:CLIPS_SHOWN]],
    )


def _picture(clip: Example | FoundClip, benchmark: str, frame: FrameLookup) -> Picture:
    jpeg = frame(benchmark, clip.video_id, (clip.start_seconds + clip.end_seconds) / 2)
    return Picture(clip=clip, frame=None if jpeg is None else data_uri(jpeg, "image/jpeg"))
