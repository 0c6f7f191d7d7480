"""The published pickles of evaluation clips: read, imported as a benchmark, and evaluated."""

import csv
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from extractors.words import train_word2vec
from jobs import evaluate_task
from jobs.store_import_clips import ImportClips, import_clips
from mcn.data.benchmark_folder import films_of_clips, read_benchmark
from mcn.data.benchmarks import BenchmarkClip, read_msrvtt, read_youcook2
from mcn.data.clip_reader import ClipReader
from mcn.data.published_clips import clip_ids, read_published_clips
from mcn.data.stores import Features, open_stores
from mcn.evaluation.evaluate import evaluate_published
from mcn.evaluation.published import load_published_space
from mcn.evaluation.zero_shot import evaluated_form, frames_heard
from mcn.models.published import PublishedMcn
from mcn.root import Root
from mcn.store.reader import FeatureStore
from mcn.store.word_table import WordTable

TEXTS = ("pick the ends off the verdalago", "chop the lettuce", "stir the eggs in the pan")
DIM = 12
WORD_DIM = 300
FEATURES = Features(video="video-2d", video_3d="video-3d", audio="audio-logmel")
MSRVTT_FRAMES = 3072
FRAMES = (130, 3100, 0)
"""Of the clips' sound: the second one is longer than what is heard of MSR-VTT."""


def youcook2_entries() -> list[dict[str, Any]]:
    """Arrays and tensors mixed; two clips of one video, and one of another without sound."""
    generator = np.random.default_rng(3)
    audio = [torch.from_numpy(-80 * generator.random((40, n), np.float32)) for n in FRAMES]
    return [
        {
            "id": f"{'xHr8X2Wpmno' if number < 2 else '-tCQ4tCQdWE'}",
            "2d": generator.random(DIM, np.float32),
            "3d": torch.from_numpy(generator.random(DIM, np.float32)),
            "audio": audio[number].half() if FRAMES[number] else None,
            "caption": text,
            "2d_full": generator.random((4, DIM), np.float32),
        }
        for number, text in enumerate(TEXTS)
    ]


def msrvtt_entries() -> list[dict[str, Any]]:
    return [
        {
            "id": f"video{number}",
            "2d_pooled": entry["2d"],
            "3d_pooled": entry["3d"],
            "2d": np.zeros((3, DIM)),
            "3d": np.zeros((3, DIM)),
            "audio": entry["audio"],
            "eval_caption": entry["caption"],
        }
        for number, entry in enumerate(youcook2_entries())
    ]


def pickled(path: Path, entries: object) -> Path:
    path.write_bytes(pickle.dumps(entries))
    return path


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "words.bin"
    train_word2vec(TEXTS, path, seed=0)
    return path


@pytest.fixture(scope="module")
def model() -> PublishedMcn:
    torch.manual_seed(0)
    return PublishedMcn(
        video_dim=2 * DIM, word_dim=WORD_DIM, embedding_dim=8, reconstruction_dim=4
    ).eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, model: PublishedMcn) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mcn.pth"
    torch.save(model.state_dict(), path)
    return path


def imported(tmp_path: Path, words: Path, **changed: Any) -> Path:
    """The folder of MSR-VTT, made of three clips."""
    settings: dict[str, Any] = {
        "file": pickled(tmp_path / "msrvtt_test.pkl", msrvtt_entries()),
        "benchmark": "msrvtt",
        **changed,
    }
    import_clips(ImportClips(word_vectors=words, root=tmp_path, **settings))
    return tmp_path / "benchmarks" / str(settings["benchmark"])


def test_a_published_pickle_is_a_list_of_clips_without_times(tmp_path: Path) -> None:
    found = read_youcook2(pickled(tmp_path / "youcook_val.pickle", youcook2_entries()))
    assert [(clip.video_id, clip.text) for clip in found] == [
        ("xHr8X2Wpmno", TEXTS[0]),
        ("xHr8X2Wpmno", TEXTS[1]),
        ("-tCQ4tCQdWE", TEXTS[2]),
    ]
    assert all(math.isnan(clip.start_seconds) and math.isnan(clip.end_seconds) for clip in found)
    assert read_msrvtt(pickled(tmp_path / "msrvtt.pkl", msrvtt_entries())) == [
        BenchmarkClip(f"video{number}", 0.0, math.inf, text) for number, text in enumerate(TEXTS)
    ]


def test_clips_that_share_an_id_are_numbered(tmp_path: Path) -> None:
    clips = read_published_clips(pickled(tmp_path / "a.pickle", youcook2_entries()))
    assert clip_ids(clips) == ["xHr8X2Wpmno.0", "xHr8X2Wpmno.1", "-tCQ4tCQdWE"]
    assert [clip.seconds for clip in clips] == [1.3, 31.0, 1.0]


@pytest.mark.parametrize(
    "content, message",
    [
        ({"a": 1}, "holds a dict, not a list"),
        ([3], "clip 0 is a int, not a dict"),
        ([{"id": "v", "caption": ["a", "b"]}], "clip 0: caption is .* training clips"),
        ([{"id": "../v", "caption": "a"}], "clip 0: video id '../v'"),
        ([{"id": "v", "caption": "a", "2d": np.zeros((2, 3))}], r"2d is of shape \(2, 3\)"),
        ([{"id": "v", "caption": "a", "2d": "x"}], "2d is a str, not an array"),
        ([{"id": "v", "caption": "a", "audio": np.zeros((9, 3))}], r"shape \(9, 3\), not \(40"),
    ],
)
def test_another_pickle_is_refused_with_the_clip(
    tmp_path: Path, content: object, message: str
) -> None:
    path = pickled(tmp_path / "a.pickle", content)
    with pytest.raises(ValueError, match=rf"a\.pickle.*{message}"):
        read_youcook2(path)


def test_each_clip_is_stored_as_a_video_of_its_own(tmp_path: Path, words: Path) -> None:
    entries = youcook2_entries()
    entries[1]["3d"] = np.full(DIM, 1e6)  # which float16 cannot hold
    path = pickled(tmp_path / "youcook_val.pickle", entries)
    folder = imported(tmp_path, words, file=path, benchmark="youcook2")
    ids = ["xHr8X2Wpmno.0", "xHr8X2Wpmno.1", "-tCQ4tCQdWE"]
    clips = read_benchmark(folder)
    assert [clip.video_id for clip in clips] == ids
    assert list(films_of_clips(folder).values()) == ["xHr8X2Wpmno"] * 2 + ["-tCQ4tCQdWE"]
    stores = open_stores(folder / "store", FEATURES)
    for clip_id, entry in zip(ids, entries, strict=True):
        np.testing.assert_array_equal(stores["video"].read(clip_id)[0], entry["2d"].astype("f2"))
    assert stores["audio"].read(ids[1]).shape == (FRAMES[1], 40)
    np.testing.assert_array_equal(stores["audio"].read(ids[1]).T, entries[1]["audio"].numpy())
    assert dict(stores["audio"].failures()) == {ids[2]: "no-audio"}
    assert dict(stores["video-3d"].failures()) == {ids[1]: "not-finite"}
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    imported(tmp_path, words, file=path, benchmark="youcook2")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@torch.no_grad()
def test_a_published_checkpoint_scores_the_clips_as_it_does_by_hand(
    tmp_path: Path, words: Path, model: PublishedMcn, checkpoint: Path
) -> None:
    folder = imported(tmp_path, words)
    data = evaluate_task._benchmarks(Root(tmp_path), FEATURES)
    found = evaluate_published(checkpoint, data, {}, missing_audio="miss").benchmarks["msrvtt"]
    assert found.num_queries == 3 and found.queries["t2va"].num_missing == 1

    store = FeatureStore(folder / "store" / "text-word2vec")
    vectors = WordTable.below(folder / "store", store.fingerprint).vectors()
    seen_and_heard = {}
    for entry in msrvtt_entries()[:2]:
        pooled = [torch.as_tensor(entry[kind]) for kind in ("2d_pooled", "3d_pooled")]
        video = torch.cat([F.normalize(rows, dim=0) for rows in pooled])[None]
        sound = entry["audio"][:, :MSRVTT_FRAMES].float()
        log_mel = F.pad(sound, (0, MSRVTT_FRAMES - sound.shape[1]))[None]
        audio = model.embed_audio(log_mel, torch.tensor([sound.shape[1]]))
        seen_and_heard[entry["id"]] = model.embed_video(video) + audio
    for example in found.examples:
        numbers = store.read(example.video_id)[:, 0]
        sentence = torch.zeros(1, 20, WORD_DIM)
        sentence[0, : len(numbers)] = torch.from_numpy(vectors[numbers].astype(np.float32))
        scores = {clip.video_id: clip.score for clip in example.found}
        assert scores.pop("video2") == -math.inf  # it has no sound
        for video_id, score in scores.items():
            by_hand = model.embed_text(sentence) @ seen_and_heard[video_id].T
            assert score == pytest.approx(by_hand.item(), rel=1e-3)


def test_a_published_model_hears_what_was_published_of_each_benchmark(checkpoint: Path) -> None:
    space = load_published_space(checkpoint)
    heard = {name: frames_heard(space, name) for name in ("youcook2", "msrvtt", "another")}
    assert heard == {"youcook2": 5120, "msrvtt": MSRVTT_FRAMES, "another": 5120}
    assert evaluated_form(space, MSRVTT_FRAMES).spectrogram_frames == MSRVTT_FRAMES


def test_intervals_know_that_clips_are_of_one_video(tmp_path: Path, words: Path) -> None:
    path = pickled(tmp_path / "youcook_val.pickle", youcook2_entries())
    imported(tmp_path, words, file=path, benchmark="youcook2")
    data = evaluate_task._benchmarks(Root(tmp_path), FEATURES)["youcook2"]
    assert data.cut_from["xHr8X2Wpmno.1"] == data.cut_from["xHr8X2Wpmno.0"] == "xHr8X2Wpmno"


def test_clips_of_the_annotation_that_the_file_lacks_are_never_found(
    tmp_path: Path, words: Path
) -> None:
    annotation = tmp_path / "msrvtt_test.csv"
    rows = [(f"ret{n}", f"msr{n}", f"video{n}", "chop the lettuce") for n in range(5)]
    with annotation.open("w", newline="") as file:
        csv.writer(file).writerows([("key", "vid_key", "video_id", "sentence"), *rows])
    folder = imported(tmp_path, words, annotation=annotation)
    assert [clip.video_id for clip in read_benchmark(folder)] == [f"video{n}" for n in range(5)]
    reader = ClipReader(open_stores(folder / "store", Features(video="video-2d", audio="video-3d")))
    assert not reader.has("video", "video4") and reader.has("text", "video4")

    with annotation.open("w", newline="") as file:
        csv.writer(file).writerows([("key", "vid_key", "video_id", "sentence"), *rows[1:]])
    with pytest.raises(ValueError, match=r"does not have 1 clips of .*'video0' first"):
        imported(tmp_path, words, annotation=annotation)


def test_a_benchmark_of_videos_is_left_alone(tmp_path: Path, words: Path) -> None:
    folder = tmp_path / "benchmarks" / "youcook2"
    folder.mkdir(parents=True)
    (folder / "validation_youcook.csv").write_text("end,start,task,text,video_id\n")
    with pytest.raises(ValueError, match=r"validation_youcook\.csv says .* give another --root"):
        imported(tmp_path, words, benchmark="youcook2")
    assert not (folder / "store").exists()
