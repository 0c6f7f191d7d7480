"""What one run achieves on all benchmarks, ready to be written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import Tensor

from mcn.data.captions import Captions
from mcn.data.stores import Stores
from mcn.evaluation.directions import spaces_of_directions
from mcn.evaluation.localize import StepBenchmark, localize
from mcn.evaluation.nothing import model_of
from mcn.evaluation.published import PUBLISHED_WORDS, Evaluated, load_published_space
from mcn.evaluation.results import (
    BenchmarkResults,
    Example,
    FoundClip,
    MissingAudio,
    QueryRanks,
    RunResults,
)
from mcn.evaluation.retrieval import ranks
from mcn.evaluation.zero_shot import (
    MOST_SPECTROGRAM_FRAMES,
    ClipEmbeddings,
    embed_clips,
    evaluated_form,
    frames_heard,
    load_model,
    read_benchmark,
)
from mcn.modality import Space
from mcn.sha256 import file_sha256
from mcn.training.checkpoint import load_checkpoint
from mcn.training.run_folder import RunFolder

FOUND_PER_EXAMPLE = 5


class BenchmarkData:
    """A benchmark's features, and the sentences of its annotation by video.

    Where clips are stored as videos of their own, `cut_from` says from which video each one is:
    those of one video are alike, and count so in intervals.
    """

    def __init__(
        self,
        title: str,
        stores: Stores,
        sentences: Mapping[str, Captions],
        cut_from: Mapping[str, str] | None = None,
    ) -> None:
        self.title = title
        self.stores = stores
        self.sentences = sentences
        self.cut_from = cut_from or {}


def evaluate_run(
    run: RunFolder,
    benchmarks: Mapping[str, BenchmarkData],
    step_benchmarks: Mapping[str, StepBenchmark],
    *,
    missing_audio: MissingAudio,
) -> RunResults:
    """Zero-shot retrieval and localisation with the run's final model on every benchmark.

    Raises:
        FileNotFoundError: The run is not complete.
    """
    if not run.final.exists():
        raise FileNotFoundError(f"{run.final} is missing: the run is not complete")
    config = yaml.safe_load(run.config.read_text())["train"]
    return _evaluate(
        load_model(load_checkpoint(run.final)),
        benchmarks,
        step_benchmarks,
        what=_What(
            run=run.path.name,
            model=model_of(config),
            stage=config["stage"],
            seed=config["seed"],
            control=config["control"],
            checkpoint=run.final,
        ),
        max_words=config["max_words"],
        temperature=config["temperature"],
        missing_audio=missing_audio,
    )


def evaluate_published(
    path: Path,
    benchmarks: Mapping[str, BenchmarkData],
    step_benchmarks: Mapping[str, StepBenchmark],
    *,
    missing_audio: MissingAudio,
) -> RunResults:
    """The same with the model of a published checkpoint, under its name.

    Raises:
        ValueError: It has not all of video, audio and text, or takes other features.
    """
    model = load_published_space(path)
    return _evaluate(
        model,
        benchmarks,
        step_benchmarks,
        what=_What(
            run=path.stem, model="mcn", stage=model.name, seed=0, control="none", checkpoint=path
        ),
        max_words=PUBLISHED_WORDS,
        temperature=1.0,
        missing_audio=missing_audio,
    )


@dataclass(frozen=True, kw_only=True)
class _What:
    """What is evaluated."""

    run: str
    model: str
    stage: str
    seed: int
    control: str
    checkpoint: Path


def _evaluate(
    model: Evaluated,
    benchmarks: Mapping[str, BenchmarkData],
    step_benchmarks: Mapping[str, StepBenchmark],
    *,
    what: _What,
    max_words: int,
    temperature: float,
    missing_audio: MissingAudio,
) -> RunResults:
    if model.form.spectrogram_frames is not None and torch.cuda.is_available():
        model.to("cuda")  # a DAVEnet is more than pooled features, which are quick anywhere
    return RunResults(
        run=what.run,
        model=what.model,
        stage=what.stage,
        seed=what.seed,
        control=what.control,
        checkpoint_sha256=file_sha256(what.checkpoint),
        missing_audio=missing_audio,
        benchmarks={
            name: retrieve(
                model,
                data,
                max_words=max_words,
                missing_audio=missing_audio,
                most_frames=frames_heard(model, name),
            )
            for name, data in benchmarks.items()
        },
        localization={
            name: localize(
                model,
                benchmark,
                max_words=max_words,
                temperature=temperature,
                missing_audio=missing_audio,
            )
            for name, benchmark in step_benchmarks.items()
        },
    )


def retrieve(
    model: Evaluated,
    data: BenchmarkData,
    *,
    max_words: int,
    missing_audio: MissingAudio,
    most_frames: int = MOST_SPECTROGRAM_FRAMES,
) -> BenchmarkResults:
    """Ranks of all clips' own items, in every direction that the model's spaces allow.

    Raises:
        ValueError: Clips without audio are left out, and no clip is left.
    """
    clips = read_benchmark(
        model,
        data.stores,
        max_words=max_words,
        sentences=data.sentences,
        most_frames=most_frames,
    )
    form = evaluated_form(model, most_frames)
    space_of = spaces_of_directions(model.spaces)
    whole = {
        space: embed_clips(model, clips, form, space=space)
        for space in dict.fromkeys(space_of.values())
    }
    heard = next(found.has["audio"] for found in whole.values() if "audio" in found.has)
    kept = heard if missing_audio == "leave-out" else torch.ones_like(heard)
    if not kept.any():
        raise ValueError(f"{data.title}: none of {len(heard)} clips has audio")
    embedded = {space: found.only(kept) for space, found in whole.items()}
    queries = {
        direction: _queries(embedded[space], direction, space)
        for direction, space in space_of.items()
    }
    shown = next(iter(space_of))
    texts = [text for _, captions in sorted(data.sentences.items()) for text in captions.texts]
    some = embedded[space_of[shown]]
    return BenchmarkResults(
        title=data.title,
        num_queries=len(some.video_ids),
        num_left_out=int((~kept).sum()),
        queries=queries,
        video_ids=tuple(data.cut_from.get(id_, id_) for id_ in some.video_ids),
        examples=_examples(
            [text for text, is_kept in zip(texts, kept.tolist(), strict=True) if is_kept],
            some,
            some.similarity(shown),
            torch.tensor(queries[shown].ranks),
        ),
        examples_direction=shown,
    )


def _queries(embedded: ClipEmbeddings, direction: str, space: Space) -> QueryRanks:
    return QueryRanks(
        ranks=tuple(ranks(embedded.similarity(direction)).tolist()),
        num_missing=embedded.num_missing(direction),
        num_unasked=embedded.num_unasked(direction),
        space=space,
    )


def _examples(
    texts: Sequence[str], embedded: ClipEmbeddings, similarity: Tensor, rank: Tensor
) -> tuple[Example, ...]:
    """The sentence with the best, the middle and the worst rank."""
    order = rank.argsort(stable=True).tolist()
    chosen = dict.fromkeys((order[0], order[len(order) // 2], order[-1]))
    return tuple(_example(texts[q], embedded, similarity[q], int(rank[q]), q) for q in chosen)


def _example(text: str, embedded: ClipEmbeddings, scores: Tensor, rank: int, query: int) -> Example:
    best = torch.nan_to_num(scores, nan=-torch.inf).argsort(descending=True, stable=True)
    seconds = embedded.seconds.tolist()
    return Example(
        text=text,
        video_id=embedded.video_ids[query],
        start_seconds=seconds[query][0],
        end_seconds=seconds[query][1],
        rank=rank,
        found=tuple(
            FoundClip(
                video_id=embedded.video_ids[index],
                start_seconds=seconds[index][0],
                end_seconds=seconds[index][1],
                score=float(scores[index]),
                is_own=index == query,
            )
            for index in best[:FOUND_PER_EXAMPLE].tolist()
        ),
    )
