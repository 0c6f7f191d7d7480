import csv
import json
import shutil
from itertools import pairwise
from pathlib import Path

import av
import pytest

from extractors.demo.config import CorpusConfig
from extractors.demo.corpus import num_files, write_corpus
from extractors.demo.lists import ucf101_file, ucf101_lists
from extractors.demo.narration import describe, recognise, say
from extractors.demo.stories import msrvtt_stories, training_story, ucf101_stories, youcook2_stories
from mcn.data.probe_folder import read_labels

CONFIG = CorpusConfig(videos=4, benchmark_clips=5, class_clips=6)
FULL = CorpusConfig()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def raw_file(corpus: Path, index: int, *, dashed: bool = False) -> Path:
    video_id = training_story(CONFIG, index, dashed=dashed).video_id
    return next(path for path in (corpus / "raw").iterdir() if path.stem == video_id)


def frame_times(path: Path) -> list[float]:
    with av.open(f"file:{path}") as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    told: list[None] = []
    write_corpus(folder, CONFIG, on_file=lambda: told.append(None))
    assert len(told) == num_files(CONFIG)
    return folder


def test_the_same_seed_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    # Most raw files are taken over, for encoding takes its time; one of each kind is made anew.
    anew = {raw_file(corpus, 1), raw_file(corpus, CONFIG.videos)}
    anew.add(corpus / "benchmarks" / "msrvtt" / "raw" / f"{msrvtt_stories(CONFIG)[0].video_id}.mp4")
    anew.add(corpus / "benchmarks" / "ucf101" / "raw" / ucf101_file(ucf101_stories(CONFIG)[0]))
    for path in corpus.rglob("raw/**/*"):
        if path.is_file() and path not in anew:
            copy = tmp_path / path.relative_to(corpus)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    write_corpus(tmp_path, CONFIG, on_file=lambda: None)
    assert contents(tmp_path) == contents(corpus)


def test_only_what_is_missing_is_made_again(corpus: Path) -> None:
    before = contents(corpus)
    stamps = {path: path.stat().st_mtime_ns for path in corpus.rglob("*") if path.is_file()}
    lost = raw_file(corpus, 2)
    lost.unlink()
    write_corpus(corpus, CONFIG, on_file=lambda: None)
    assert contents(corpus) == before
    assert all(path.stat().st_mtime_ns == stamps[path] for path in stamps if path != lost)


def test_every_listed_video_has_one_raw_file(corpus: Path) -> None:
    listed = [row["video_id"] for row in rows(corpus / "HowTo100M_v1.csv")]
    assert all(len(video_id) == 11 for video_id in listed)
    assert sorted(listed) == sorted(path.stem for path in (corpus / "raw").iterdir())


def test_captions_lie_parallel_and_in_order_of_time(corpus: Path) -> None:
    for name in ("raw_caption.json", "caption.json"):
        captions = json.loads((corpus / "captions" / name).read_text())
        for lines in captions.values():
            assert len(lines["start"]) == len(lines["end"]) == len(lines["text"])
            assert lines["start"] == sorted(lines["start"])
            assert all(s < e for s, e in zip(lines["start"], lines["end"], strict=True))


@pytest.mark.parametrize(
    ("annotations", "header"),
    [
        ("youcook2/validation_youcook.csv", "end,start,task,text,video_id"),
        ("msrvtt/msrvtt_test.csv", "key,vid_key,video_id,sentence"),
    ],
)
def test_a_benchmark_is_annotated_as_its_model_is(
    corpus: Path, annotations: str, header: str
) -> None:
    path = corpus / "benchmarks" / annotations
    assert path.read_text().splitlines()[0] == header
    clips = rows(path)
    assert len(clips) == CONFIG.benchmark_clips
    filmed = {file.stem for file in (path.parent / "raw").iterdir()}
    assert {clip["video_id"] for clip in clips} == filmed


def test_videos_are_as_long_as_their_stories(corpus: Path) -> None:
    for index in (0, 1, 2):
        duration = training_story(CONFIG, index).duration_seconds
        assert duration >= 20
        assert frame_times(raw_file(corpus, index))[-1] == pytest.approx(duration, abs=0.2)


def test_one_video_has_a_variable_frame_rate(corpus: Path) -> None:
    gaps = [round(b - a, 3) for a, b in pairwise(frame_times(raw_file(corpus, 0)))]
    assert max(gaps) > 2 * min(gaps)


def test_one_video_is_stored_lying_on_its_side(corpus: Path) -> None:
    with av.open(f"file:{raw_file(corpus, 1)}") as container:
        frame = next(container.decode(video=0))
    assert abs(frame.rotation) == 90 and frame.height > frame.width


def test_one_video_has_no_sound(corpus: Path) -> None:
    with av.open(f"file:{raw_file(corpus, 2)}") as container:
        assert not container.streams.audio
    with av.open(f"file:{raw_file(corpus, 1)}") as container:
        assert container.streams.audio


def test_one_id_looks_like_an_option(corpus: Path) -> None:
    assert raw_file(corpus, 3, dashed=True).name.startswith("-")


def test_the_truncated_video_opens_and_then_breaks_off(corpus: Path) -> None:
    path = raw_file(corpus, CONFIG.videos)
    with av.open(f"file:{path}") as container:
        assert container.duration is not None
        promised = container.duration / av.time_base
        seen = 0.0
        with pytest.raises(av.error.InvalidDataError):
            for frame in container.decode(video=0):
                seen = float(frame.time or 0)
    assert 0 < seen < 0.8 * promised


def test_the_empty_video_is_empty(corpus: Path) -> None:
    assert raw_file(corpus, CONFIG.videos + 1).stat().st_size == 0


def test_the_full_corpus_is_as_large_as_it_must_be() -> None:
    training = [training_story(FULL, index) for index in range(FULL.videos)]
    assert len({story.video_id for story in training}) == FULL.videos >= 64
    assert all(20 <= story.duration_seconds <= 28 for story in training)
    for stories in (youcook2_stories(FULL), msrvtt_stories(FULL)):
        assert sum(len(story.steps) for story in stories) == 100


def test_nothing_held_out_is_seen_or_said_in_training() -> None:
    training = [training_story(FULL, index) for index in range(FULL.videos + 1)]
    shown = {step.deed for story in training for step in story.steps}
    captions = {
        line.text for story in training for line in recognise(story, say(story, seed=0), seed=0)
    }
    for benchmark, stories in (
        ("youcook2", youcook2_stories(FULL)),
        ("msrvtt", msrvtt_stories(FULL)),
    ):
        deeds = [step.deed for story in stories for step in story.steps]
        sentences = [describe(deed, benchmark, seed=0) for deed in deeds]
        assert len(set(sentences)) == len(sentences)
        assert shown.isdisjoint(deeds) and captions.isdisjoint(sentences)
        assert not {s.video_id for s in stories} & {s.video_id for s in training}


def test_every_word_for_a_deed_is_learnt_from_training_captions() -> None:
    heard: set[str] = set()
    for index in range(FULL.videos):
        story = training_story(FULL, index)
        for line in recognise(story, say(story, seed=0), seed=0):
            heard.update(line.text.split())
    for story in (*youcook2_stories(FULL), *msrvtt_stories(FULL)):
        for step in story.steps:
            assert {step.deed.action, step.deed.item, step.deed.colour} <= heard


def test_the_set_of_classes_reads_as_ucf101_and_its_clips_are_there(corpus: Path) -> None:
    folder = corpus / "benchmarks" / "ucf101"
    labelled = read_labels(folder)
    assert labelled.classes == ("Chop", "Peel")
    assert [(len(split.train), len(split.test)) for split in labelled.splits] == [(4, 2)] * 3
    assert sorted(labelled.labels) == sorted(path.stem for path in folder.glob("raw/*/*.avi"))
    assert read_labels_of(FULL, folder.parent / "all") == (8, 48, 24)


def read_labels_of(config: CorpusConfig, folder: Path) -> tuple[int, int, int]:
    """Classes, clips and groups."""
    lists = folder / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    for name, text in ucf101_lists(ucf101_stories(config)).items():
        (lists / name).write_text(text)
    labelled = read_labels(folder)
    return len(labelled.classes), len(labelled.labels), len(set(labelled.groups.values()))
