"""Published checkpoints through the command that evaluates, on what they were published with."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jobs import evaluate
from mcn.data.stores import Features, open_stores
from mcn.evaluation.published import load_published_space
from mcn.evaluation.zero_shot import embed_benchmark
from mcn.models.published import AvlNet, PublishedMcn
from mcn.store.word_table import WordTable
from tests.stores import (
    DIMS,
    MOTION,
    MOTION_DIM,
    SECONDS_PER_CLIP,
    SPECTROGRAMS,
    WORDS_PER_CLIP,
    ids_of_stores,
    write_motion,
    write_spectrograms,
    write_stores,
)

FEATURES = Features(audio=SPECTROGRAMS.audio, video_3d=MOTION.video_3d)
NUM_VIDEOS = 3
MOST_FRAMES = 5120


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of one clip a video, the last without sound; nothing was trained."""
    root = tmp_path_factory.mktemp("root")
    benchmark = root / "benchmarks" / "youcook2"
    for store in (root / "store", benchmark / "store"):
        write_stores(store, num_videos=NUM_VIDEOS, clips_per_video=1)
        write_spectrograms(store, ids_of_stores(NUM_VIDEOS), clips_per_video=1)
        write_motion(store, ids_of_stores(NUM_VIDEOS), seconds=SECONDS_PER_CLIP)
    rows = [(SECONDS_PER_CLIP, 0, "113", "something", v) for v in ids_of_stores(NUM_VIDEOS)]
    with (benchmark / "validation_youcook.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("end", "start", "task", "text", "video_id"), *rows])
    return root


@pytest.fixture(scope="module")
def model() -> PublishedMcn:
    video_dim = DIMS["video"] + MOTION_DIM
    return PublishedMcn(
        video_dim=video_dim, word_dim=DIMS["text"], embedding_dim=8, reconstruction_dim=4
    ).eval()


@pytest.fixture(scope="module")
def checkpoint(root: Path, model: PublishedMcn) -> Path:
    path = root / "mcn.pth"
    torch.save(model.state_dict(), path)
    return path


@torch.no_grad()
def published_embeddings(store: Path, model: PublishedMcn) -> dict[str, Tensor]:
    """What the published model gives for inputs made by hand, one clip after the other."""
    stores = open_stores(store, FEATURES)
    table = WordTable.below(store, stores["text"].fingerprint).vectors()
    found: dict[str, list[Tensor]] = {"audio": [], "video": [], "text": []}
    for video_id in ids_of_stores(NUM_VIDEOS):
        kinds = [stores[kind].read(video_id).astype(np.float32) for kind in ("video", "video-3d")]
        pooled = [F.normalize(torch.from_numpy(rows.max(axis=0)), dim=0) for rows in kinds]
        words = torch.zeros(1, 20, DIMS["text"])
        numbers = stores["text"].read(video_id)[:, 0]
        words[0, :WORDS_PER_CLIP] = torch.from_numpy(table[numbers].astype(np.float32))
        mel, num_frames = torch.zeros(1, 40, MOST_FRAMES), 0
        if video_id in stores["audio"]:
            rows = stores["audio"].read(video_id)[: SECONDS_PER_CLIP * 100]
            num_frames = len(rows)
            mel[0, :, :num_frames] = torch.from_numpy(rows.astype(np.float32)).T
        outcome = model(torch.cat(pooled)[None], mel, torch.tensor([num_frames]), words)
        for name, value in zip(("audio", "video", "text"), outcome, strict=False):
            found[name].append(value)
    return {name: torch.cat(values) for name, values in found.items()}


def test_embeddings_are_those_of_the_published_model_on_published_inputs(
    root: Path, model: PublishedMcn, checkpoint: Path
) -> None:
    store = root / "benchmarks" / "youcook2" / "store"
    space = load_published_space(checkpoint)
    found = embed_benchmark(space, open_stores(store, FEATURES), max_words=20)
    expected = published_embeddings(store, model)
    expected["audio"][-1] = 0  # it has no sound, and what the model says of padding does not count
    assert found.has["audio"].tolist() == [True, True, False]
    for modality, values in found.embeddings.items():
        torch.testing.assert_close(values, expected[modality], rtol=1e-3, atol=1e-4)


def test_the_command_reports_a_published_checkpoint_by_its_name(
    root: Path, checkpoint: Path
) -> None:
    evaluate.main(evaluate.Arguments(root=root, features=FEATURES, published=(checkpoint,)))
    page = (root / "report" / "report.md").read_text()
    assert "MCN" in page and "published mcn" in page
    assert "R@1" in page


def test_other_features_or_models_are_refused_with_the_way_out(
    root: Path, checkpoint: Path, tmp_path: Path
) -> None:
    without_motion = Features(audio=SPECTROGRAMS.audio)
    with pytest.raises(ValueError, match=r"takes 18 video features.* has 12 .*--video-3d"):
        evaluate.main(
            evaluate.Arguments(root=root, features=without_motion, published=(checkpoint,))
        )
    path = tmp_path / "avlnet.pth"
    torch.save(AvlNet(video_dim=3, embedding_dim=4).state_dict(), path)
    with pytest.raises(ValueError, match=r"avlnet\.pth holds a AvlNet, which has not all of"):
        load_published_space(path)
