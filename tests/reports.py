"""Made-up results to report on."""

import dataclasses
from collections.abc import Mapping, Sequence

from mcn.evaluation.directions import DIRECTIONS
from mcn.evaluation.results import (
    BenchmarkResults,
    Example,
    FoundClip,
    QueryRanks,
    RunResults,
)
from mcn.report.content import ReportContent, Run, SkippedVideo

NUM_CLIPS = 100
PERFECT = (0,) * NUM_CLIPS
BY_CHANCE = tuple(range(NUM_CLIPS))
JPEG = b"\xff\xd8 a picture \xff\xd9"


def benchmark(ranks: Sequence[int], *, title: str = "YouCook2", text: str = "") -> BenchmarkResults:
    found = [
        FoundClip(
            video_id=f"found{i}",
            start_seconds=3.0,
            end_seconds=5.0,
            score=0.9 - i / 10,
            is_own=not i,
        )
        for i in range(6)
    ]
    example = Example(
        text=text or "cut it",
        video_id="described",
        start_seconds=0.0,
        end_seconds=4.0,
        rank=0,
        found=tuple(found),
    )
    part = QueryRanks(ranks=tuple(ranks), num_missing=0, num_unasked=0, space="joint")
    return BenchmarkResults(
        title=title,
        num_queries=len(ranks),
        num_left_out=0,
        queries={
            **dict.fromkeys(DIRECTIONS, part),
            "t2a": dataclasses.replace(part, num_missing=7),
        },
        video_ids=tuple(f"video{clip // 4}" for clip in range(len(ranks))),
        examples=(example,),
        examples_direction="t2va",
    )


def results(
    ranks: Sequence[int] = PERFECT,
    *,
    stage: str = "AV_T",
    seed: int = 0,
    control: str = "none",
    text: str = "",
) -> RunResults:
    return RunResults(
        run=f"{stage}-seed{seed}-{control}",
        stage=stage,
        seed=seed,
        control=control,
        checkpoint_sha256="ab" * 32,
        missing_audio="miss",
        benchmarks={
            "youcook2": benchmark(ranks, text=text),
            "msrvtt": benchmark(ranks, title="MSR-VTT", text=text),
        },
        localization={},
    )


def metrics(num_steps: int) -> list[dict[str, int | float]]:
    return [
        {
            "step": step,
            "epoch": step // 5 + 1,
            "stage": 1 if step < 10 else 2,
            "lr": 1e-4,
            "loss": 10.0 - step / 10,
            "loss/mms/video-audio" if step < 10 else "loss/mms/video-text": 5.0,
        }
        for step in range(num_steps)
    ]


def content(
    *runs: RunResults,
    skipped: Sequence[SkippedVideo] = (),
    provenance: Mapping[str, Mapping[str, str]] | None = None,
    title: str = "A report",
    num_steps: int = 0,
) -> ReportContent:
    return ReportContent(
        title=title,
        about="What this is.",
        runs=[Run(results=run, metrics=metrics(num_steps)) for run in runs],
        skipped=skipped,
        provenance=provenance or {"weights": {"video": "imagenet"}},
        frame=lambda benchmark, video_id, seconds: JPEG if video_id == "described" else None,
    )
