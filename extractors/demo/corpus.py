"""Writes the demo corpus in HowTo100M's file layout, with three held-out benchmarks beside it.

Every file is made from the seed and its own id alone, appears whole, and is made only once.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from extractors.demo.config import CorpusConfig
from extractors.demo.encode import (
    FORMATS,
    OLD,
    ROTATED,
    SILENT,
    VARIABLE_RATE,
    RawFormat,
    write_raw,
)
from extractors.demo.film import Film
from extractors.demo.lists import ucf101_file, ucf101_lists
from extractors.demo.narration import (
    CaptionLine,
    describe,
    recognise,
    say,
    without_stop_words,
)
from extractors.demo.sound import soundtrack
from extractors.demo.stories import (
    Story,
    msrvtt_stories,
    training_story,
    ucf101_stories,
    youcook2_stories,
)
from extractors.publish import publish

CATEGORY = ("Food and Entertaining", "Recipes")
KEPT_OF_TRUNCATED = 0.6
SILENT_MSRVTT = frozenset({7, 50})
"""Clips of the MSR-VTT set without sound, as some of the real ones are."""


@dataclass(frozen=True)
class RawFile:
    """One raw file to be made."""

    path: Path
    story: Story
    form: RawFormat
    kept: float = 1.0
    """Share of its bytes that is written."""


def num_files(config: CorpusConfig) -> int:
    """Raw files of the corpus, the empty one included."""
    folder = Path()
    return len(_training_files(folder, config)) + len(_benchmark_files(folder, config)) + 1


def write_corpus(folder: Path, config: CorpusConfig, *, on_file: Callable[[], None]) -> None:
    """Make what is missing of the corpus below `folder`.

    Args:
        folder: The root.
        config: Size and seed.
        on_file: Told of each raw file that is there.
    """
    training = _training_files(folder, config)
    _write_text(folder / "HowTo100M_v1.csv", _howto100m_csv(training, config))
    captions = {raw.story.video_id: _captions(raw.story, config) for raw in training}
    _write_text(folder / "captions" / "raw_caption.json", _json(captions, lambda text: text))
    _write_text(folder / "captions" / "caption.json", _json(captions, without_stop_words))
    _write_benchmarks(folder / "benchmarks", config)
    empty = folder / "raw" / f"{_empty_id(config)}.mp4"
    empty.parent.mkdir(parents=True, exist_ok=True)
    if not empty.exists():
        empty.touch()
    on_file()
    files = [*training, *_benchmark_files(folder, config)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for future in as_completed([pool.submit(_make, raw, config) for raw in files]):
            future.result()
            on_file()


def _make(raw: RawFile, config: CorpusConfig) -> None:
    if raw.path.exists():
        return
    raw.path.parent.mkdir(parents=True, exist_ok=True)
    form = raw.form
    film = Film(raw.story, seed=config.seed, height=form.height, width=form.width)
    sound = None
    if form.sample_rate is not None:
        utterances = say(raw.story, seed=config.seed)
        sound = soundtrack(raw.story, utterances, seed=config.seed, sample_rate=form.sample_rate)
    if raw.kept == 1.0:
        write_raw(raw.path, film, sound, form)
        return
    whole = raw.path.with_name(f".whole-{raw.path.name}")
    write_raw(whole, film, sound, form)
    content = whole.read_bytes()
    whole.write_bytes(content[: int(raw.kept * len(content))])
    publish(whole, raw.path)


def _training_files(folder: Path, config: CorpusConfig) -> list[RawFile]:
    """The good videos, four of them odd, and a truncated one."""
    odd = {0: VARIABLE_RATE, 1: ROTATED, 2: SILENT}
    files = []
    for index in range(config.videos):
        story = training_story(config, index, dashed=index == 3)
        form = odd.get(index, FORMATS[index % len(FORMATS)])
        files.append(RawFile(folder / "raw" / f"{story.video_id}{form.suffix}", story, form))
    story, form = training_story(config, config.videos), FORMATS[0]
    path = folder / "raw" / f"{story.video_id}{form.suffix}"
    return [*files, RawFile(path, story, form, KEPT_OF_TRUNCATED)]


def _benchmark_files(folder: Path, config: CorpusConfig) -> list[RawFile]:
    files = []
    for index, story in enumerate(youcook2_stories(config)):
        form = FORMATS[index % len(FORMATS)]
        raw = folder / "benchmarks" / "youcook2" / "raw"
        files.append(RawFile(raw / f"{story.video_id}{form.suffix}", story, form))
    for index, story in enumerate(msrvtt_stories(config)):
        form = SILENT if index in SILENT_MSRVTT else FORMATS[1]
        raw = folder / "benchmarks" / "msrvtt" / "raw"
        files.append(RawFile(raw / f"{story.video_id}{form.suffix}", story, form))
    for story in ucf101_stories(config):
        path = folder / "benchmarks" / "ucf101" / "raw" / ucf101_file(story)
        files.append(RawFile(path, story, OLD))
    return files


def _empty_id(config: CorpusConfig) -> str:
    return training_story(config, config.videos + 1).video_id


def _howto100m_csv(training: Sequence[RawFile], config: CorpusConfig) -> str:
    video_ids = [*(raw.story.video_id for raw in training), _empty_id(config)]
    rows = [
        (video_id, *CATEGORY, rank % 200 + 1, 100 + rank % 10)
        for rank, video_id in enumerate(video_ids)
    ]
    return _csv(("video_id", "category_1", "category_2", "rank", "task_id"), rows)


def _captions(story: Story, config: CorpusConfig) -> list[CaptionLine]:
    return recognise(story, say(story, seed=config.seed), seed=config.seed)


def _json(captions: dict[str, list[CaptionLine]], edit: Callable[[str], str]) -> str:
    return json.dumps(
        {
            video_id: {
                "start": [line.start_seconds for line in lines],
                "end": [line.end_seconds for line in lines],
                "text": [edit(line.text) for line in lines],
            }
            for video_id, lines in captions.items()
        }
    )


def _write_benchmarks(folder: Path, config: CorpusConfig) -> None:
    youcook2 = [
        (
            max(round(step.end_seconds), round(step.start_seconds) + 1),
            round(step.start_seconds),
            100 + number % 10,
            describe(step.deed, "youcook2", seed=config.seed),
            story.video_id,
        )
        for number, story in enumerate(youcook2_stories(config))
        for step in story.steps
    ]
    text = _csv(("end", "start", "task", "text", "video_id"), youcook2)
    _write_text(folder / "youcook2" / "validation_youcook.csv", text)
    msrvtt = [
        (
            f"ret{number}",
            story.video_id.replace("video", "msr"),
            story.video_id,
            describe(story.steps[0].deed, "msrvtt", seed=config.seed),
        )
        for number, story in enumerate(msrvtt_stories(config))
    ]
    text = _csv(("key", "vid_key", "video_id", "sentence"), msrvtt)
    _write_text(folder / "msrvtt" / "msrvtt_test.csv", text)
    for name, text in ucf101_lists(ucf101_stories(config)).items():
        _write_text(folder / "ucf101" / "ucfTrainTestlist" / name, text)


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _write_text(path: Path, text: str) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    publish(aside, path)
