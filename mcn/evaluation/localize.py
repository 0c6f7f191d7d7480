"""What one model achieves on a benchmark of steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mcn.data.stores import Stores
from mcn.evaluation.localization_results import CHANCE, LocalizationResults
from mcn.evaluation.published import Evaluated
from mcn.evaluation.results import MissingAudio
from mcn.evaluation.seconds import (
    MOST_SPECTROGRAM_FRAMES,
    count_seconds,
    directions_of_steps,
    embed_lines,
    score_seconds,
)
from mcn.evaluation.step_videos import CrossTaskVideo, Measured, MiningYoutubeVideo
from mcn.evaluation.zero_shot import evaluated_reader
from mcn.modality import Modality

StepVideo = CrossTaskVideo | MiningYoutubeVideo


@dataclass(frozen=True, kw_only=True)
class StepBenchmark:
    """A benchmark's features, what its steps are called, and its videos."""

    title: str
    stores: Stores
    num_lines: Mapping[str, int]
    """Steps of each text in the text store."""
    videos: Sequence[StepVideo]


def localize(
    model: Evaluated,
    benchmark: StepBenchmark,
    *,
    max_words: int,
    temperature: float,
    missing_audio: MissingAudio,
) -> LocalizationResults:
    """Find the steps of every video that has features.

    Args:
        model: A trained model.
        benchmark: Where the steps are to be found.
        max_words: Words of a step that are read.
        temperature: Divides the products, as it did in the loss.
        missing_audio: Whether a video without sound finds nothing by sound, or is left out.

    Raises:
        ValueError: No video has features.
    """
    reader = evaluated_reader(model, benchmark.stores, MOST_SPECTROGRAM_FRAMES)
    needed: tuple[Modality, ...] = ("audio",) if missing_audio == "leave-out" else ()
    videos = [
        video
        for video in benchmark.videos
        if count_seconds(reader, video.video_id)
        and all(reader.has(modality, video.video_id) for modality in needed)
    ]
    if not videos:
        raise ValueError(
            f"{benchmark.title}: none of {len(benchmark.videos)} annotated videos has features: "
            "jobs/resize.py and jobs/extract.py make them"
        )
    texts = {
        text_id: embed_lines(model, reader, text_id, num_lines, max_words=max_words)
        for text_id, num_lines in benchmark.num_lines.items()
    }
    directions = directions_of_steps(model)
    by_video: list[dict[str, Measured]] = []
    num_present = []
    for video in videos:
        scores = score_seconds(model, reader, video.video_id, texts[video.text_id])
        num_seconds = count_seconds(reader, video.video_id)
        num_present.append(video.num_present(num_seconds))
        by_video.append(_measure(video, scores, num_seconds, temperature))
    return LocalizationResults(
        title=benchmark.title,
        num_without_features=len(benchmark.videos) - len(videos),
        num_missing={key: sum(key not in measured for measured in by_video) for key in directions},
        video_ids=tuple(video.video_id for video in videos),
        tasks=tuple(video.task for video in videos),
        num_present=tuple(num_present),
        measured={
            measure: {
                key: tuple(_value(measured, key, measure) for measured in by_video)
                for key in (*directions, CHANCE)
            }
            for measure in by_video[0][CHANCE]
        },
    )


def _measure(
    video: StepVideo,
    scores: Mapping[str, Float[np.ndarray, "seconds lines"]],
    num_seconds: int,
    temperature: float,
) -> dict[str, Measured]:
    measured = {key: video.measure(values / temperature) for key, values in scores.items()}
    return {**measured, CHANCE: video.by_chance(num_seconds)}


def _value(measured: Mapping[str, Measured], key: str, measure: str) -> float | None:
    """Nothing is found where a modality is missing; what cannot be measured stays so."""
    if key in measured:
        return measured[key][measure]
    return None if measured[CHANCE][measure] is None else 0.0
