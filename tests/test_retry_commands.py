"""`--retry` and `--plan` as commands: shards for what failed, and a look that changes nothing."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gensim.models import KeyedVectors

from extractors.corpus import listed_videos
from extractors.extract_config import ExtractConfig
from extractors.plan import read_plan, shards_again
from jobs import download, extract, resize
from jobs.extract_plan import ModalityPlan, bytes_in_journals
from mcn.data.ledger import LedgerFile, Outcome
from mcn.root import Root
from mcn.store.reader import FeatureStore
from slurm.controller import SlurmError
from slurm.launch import Target
from slurm.resources import Resources
from tests.videos import write_video

HERE = Target(cluster="debug")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Two resized videos with captions; of the second no word is known."""
    root = Root(tmp_path / "root")
    ledger = LedgerFile(root.ledger / "resize" / "00000.jsonl")
    for video_id in "ab":
        ledger.append(Outcome(video_id=video_id, status="done", seconds=9.0, num_frames=270))
    root.weights.mkdir()
    vectors = KeyedVectors(3)
    vectors.add_vectors(["chop"], [[1.0, 2.0, 3.0]])
    vectors.save_word2vec_format(str(root.weights / "words.bin"), binary=True)
    write_captions(root, a="chop", b="unheard")
    return root


def write_captions(root: Root, **texts: str) -> None:
    captions = {k: {"start": [0.0], "end": [1.0], "text": [text]} for k, text in texts.items()}
    root.captions.mkdir(exist_ok=True)
    (root.captions / "caption.json").write_text(json.dumps(captions))


def extract_text(root: Root, **options: object) -> None:
    config = ExtractConfig(modalities=("text",), word_vectors=root.weights / "words.bin")
    arguments = extract.Arguments(root=root.path, extract=config, target=HERE)
    extract.main(replace(arguments, **options))  # type: ignore[arg-type]


def test_what_failed_is_tried_again_in_a_shard_of_its_own_when_asked_for(root: Root) -> None:
    extract_text(root)
    store, plan = root.store / "text-word2vec", root.plans / "text.csv"
    sealed = (store / "00000.h5").read_bytes()
    assert FeatureStore(store).failures() == [("b", "no-known-words")]
    extract_text(root, retry="transient")
    assert read_plan(plan) == [["a", "b"]]
    write_captions(root, a="chop", b="chop chop")
    extract_text(root, retry="all")
    assert read_plan(plan) == [["a", "b"], ["b"]]
    assert (store / "00000.h5").read_bytes() == sealed
    features = FeatureStore(store)
    assert (sorted(features.video_ids), features.failures()) == (["a", "b"], [])
    assert len(features.read("b")) == 2
    assert shards_again(plan) == {1: "text-word2vec"}
    extract_text(root, retry="all")
    assert read_plan(plan) == [["a", "b"], ["b"]]


def test_a_retry_that_is_asked_for_twice_is_planned_once(root: Root) -> None:
    extract_text(root)
    extract_text(root, retry="all", plan=True)
    costs = {"a": 1.0, "b": 1.0}
    for _ in range(2):  # no task has got to it in between
        plan = ModalityPlan.read(root, "text")
        again = plan.with_videos_again("text-word2vec", root, "all", costs, videos_per_shard=9)
        again.keep(root, "text")
    assert read_plan(root.plans / "text.csv") == [["a", "b"], ["b"]]


def test_a_retry_is_made_whichever_shards_the_array_names(root: Root) -> None:
    extract_text(root)
    write_captions(root, a="chop", b="chop chop")
    extract_text(root, array="0")
    assert FeatureStore(root.store / "text-word2vec").failures() == [("b", "no-known-words")]
    extract_text(root, retry="all", array="0")
    assert FeatureStore(root.store / "text-word2vec").failures() == []


def test_another_store_of_the_same_plan_leaves_those_shards_alone(root: Root) -> None:
    plan = root.plans / "video.csv"
    plan.parent.mkdir(parents=True)
    plan.write_text("shard,video_id\n0,a\n0,b\n1,b,video-resnet18\n")
    assert ModalityPlan.read(root, "video").of_store("video-resnet152") == {0: ["a", "b"]}


def test_a_plan_costs_nothing_and_changes_nothing(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    root.raw.mkdir()
    write_video(root.raw / "new.mp4", seconds=1.0, width=64, height=48)
    listed_videos(root)
    before = {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()}
    resize.main(resize.Arguments(root=root.path, plan=True, target=HERE))
    download.main(download.Arguments(root=root.path, plan=True, target=HERE))
    extract.main(extract.Arguments(root=root.path, plan=True, target=HERE))
    assert before == {
        path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()
    }
    printed = capsys.readouterr().out
    for word in (
        " TB in",
        "new files",
        "core-hours",
        "wall time",
        "longest task",
        "not measured here",
    ):
        assert printed.count(word) == 3


def test_an_estimate_lies_only_beside_a_submission(root: Root) -> None:
    extract_text(root)
    assert not (root.logs / "extract").exists()


def test_the_command_takes_up_a_removed_file_when_all_is_asked_for(root: Root) -> None:
    root.raw.mkdir()
    write_video(root.raw / "a.mp4", seconds=1.0, width=64, height=48)
    resize.main(resize.Arguments(root=root.path, target=HERE))
    assert not (root.resized / "a.mp4").exists()
    resize.main(resize.Arguments(root=root.path, retry="all", target=HERE))
    assert (root.resized / "a.mp4").exists()


def test_shards_of_text_alone_count_as_tasks(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    extract_text(root, plan=True)
    assert "1, 1 at once" in capsys.readouterr().out


def test_a_dry_run_writes_no_plan(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root.path))  # without a SLURM that could be asked
    root.raw.mkdir()
    write_video(root.raw / "new.mp4", seconds=1.0, width=64, height=48)
    dry = Target(cluster="debug", dry_run=True)
    with pytest.raises(SlurmError, match="not on the PATH"):
        resize.main(resize.Arguments(root=root.path, target=dry))
    with pytest.raises(SlurmError, match="not on the PATH"):
        download.main(download.Arguments(root=root.path, target=dry))
    with pytest.raises(SlurmError, match="not on the PATH"):
        extract_text(root, target=dry)
    assert not root.plans.exists()


def test_what_journals_hold_of_the_shards_left_needs_no_room(root: Root) -> None:
    store = root.store / "video-a"
    store.mkdir(parents=True)
    for name, size in {"00000.1": 9, "00000.2": 5, "00001.1": 7, "00002.1": 3}.items():
        (store / f"{name}.journal").write_bytes(bytes(size))
    assert bytes_in_journals({"video-a": {0, 2}, "video-b": {0}}, root) == 5 + 3


def test_too_little_room_is_a_warning_where_sources_are_deleted(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    root.raw.mkdir()
    (root.raw / "huge.mp4").touch()
    os.truncate(root.raw / "huge.mp4", 10**13)  # with holes
    arguments = resize.Arguments(root=root.path, target=HERE)
    with pytest.raises(ValueError, match="GB free"):
        resize.main(arguments)
    resize.main(replace(arguments, delete_sources=True))
    assert "warning: " in capsys.readouterr().out


def test_the_manifest_learns_how_long_videos_are(root: Root) -> None:
    root.raw.mkdir()
    for video_id in "abc":
        (root.raw / f"{video_id}.mp4").touch()
    said = Outcome(video_id="c", status="done", seconds=61.0)
    LedgerFile(root.ledger / "download" / "00000.jsonl").append(said)
    assert [(v.seconds, v.frames) for v in listed_videos(root)] == [
        (9.0, 270),
        (9.0, 270),
        (61.0, None),
    ]
    (root.ledger / "download" / "00000.jsonl").unlink()
    assert listed_videos(root).seconds[2] == 61.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_task_that_was_to_have_a_gpu_does_not_extract_on_the_processor(root: Root) -> None:
    target = Target(cluster="debug", resources=Resources(gpus_per_task=1))
    with pytest.raises(ValueError, match=r"torch sees no GPU on .*though --gpus-per-task is 1"):
        extract_text(root, target=target)
