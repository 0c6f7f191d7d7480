"""Stores in which sound and picture share fine detail that captions lack: which arrangement of
spaces keeps it, over seeds, with intervals.

`python -m tests.planted_detail` trains 3 arrangements x 5 seeds.
"""

import sys
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import numpy as np

from mcn.data.stores import open_stores
from mcn.evaluation.directions import spaces_of_directions
from mcn.evaluation.retrieval import retrieval_metrics
from mcn.evaluation.zero_shot import embed_benchmark, load_model
from mcn.modality import MMV_SPACES, MmvSpace
from mcn.objectives import Stage
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import MMV, Runtime, TrainConfig
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder
from tests.stores import FEATURES, SECONDS_PER_CLIP, WORDS_PER_CLIP, write_features, write_words

TOPICS, TOPIC_DIM, DETAIL_DIM = 12, 6, 8
DIMS = {"video": 24, "audio": 20, "text": 10}
NOISE = {"video": 3.0, "audio": 3.0, "text": 0.5}
"""Beside features of a deviation of about 4; such that a picture does not always find its sound."""

T_975_OF_4 = 2.776
"""Student's quantile for five seeds."""

CONFIG = TrainConfig(
    stage=Stage.AVT,
    **MMV,
    batch_size=16,
    clips_per_video=6,
    stage1_epochs=12,
    stage2_epochs=8,
    lr=1e-3,
    min_clip_seconds=2.0,
    max_words=3,
)


def write_planted(folder: Path, *, num_videos: int, seed: int, clips_per_video: int = 6) -> None:
    """Of each clip, captions tell the topic; sound and picture show it and a detail besides."""
    world = np.random.default_rng(7)
    topics = world.normal(size=(TOPICS, TOPIC_DIM))
    of_topic = {m: world.normal(size=(TOPIC_DIM, dim)) for m, dim in DIMS.items()}
    of_detail = {m: world.normal(size=(DETAIL_DIM, DIMS[m])) for m in ("video", "audio")}
    generator = np.random.default_rng(seed)
    ids = [f"planted{seed}-{index:03d}" for index in range(num_videos)]

    def rows(topic: np.ndarray, detail: np.ndarray, modality: str, per_clip: int) -> np.ndarray:
        clean = topics[topic] @ of_topic[modality]
        if modality in of_detail:
            clean = clean + detail @ of_detail[modality]
        clean = clean.repeat(per_clip, axis=0)
        noise = NOISE[modality] * generator.normal(size=clean.shape)
        stored: np.ndarray = (clean + noise).astype(np.float16)
        return stored

    per_clip = {"video": SECONDS_PER_CLIP, "audio": 2 * SECONDS_PER_CLIP, "text": WORDS_PER_CLIP}
    features: dict[str, dict[str, np.ndarray]] = {modality: {} for modality in DIMS}
    for video_id in ids:
        topic = generator.integers(TOPICS, size=clips_per_video)
        detail = generator.normal(size=(clips_per_video, DETAIL_DIM))
        for modality in DIMS:
            features[modality][video_id] = rows(topic, detail, modality, per_clip[modality])
    text = write_words(folder, features["text"])
    write_features(folder, FEATURES.video, ids, features["video"], rate=1.0)
    write_features(folder, FEATURES.audio, ids, features["audio"], rate=2.0)
    write_features(folder, FEATURES.text, ids, text, rate=None)


def recalls(root: Path, space: MmvSpace, seed: int) -> dict[str, float]:
    """Recall of unseen clips by way of comparing, after training with this seed."""
    config = replace(CONFIG, space=space, seed=seed)
    run = RunFolder(root / "runs" / config.name)
    train(config, Runtime(), open_stores(root / "store", FEATURES), run)
    model = load_model(load_checkpoint(run.final))
    stores = open_stores(root / "heldout", FEATURES)
    embedded = {
        space: embed_benchmark(model, stores, max_words=3, space=space) for space in model.spaces
    }
    scores = {
        way: embedded[space].similarity(way)
        for way, space in spaces_of_directions(model.spaces).items()
        if way in ("t2v", "t2a", "v2a")
    }
    return {
        f"{way} {metric:4}": retrieval_metrics(score)[metric]
        for way, score in scores.items()
        for metric in ("R@1", "R@10")
    }


def told(values: list[float]) -> str:
    half_width = T_975_OF_4 * stdev(values) / sqrt(len(values))
    return f"{100 * mean(values):+6.1f} +- {100 * half_width:.1f}"


def main(num_seeds: int) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        write_planted(root / "store", num_videos=48, seed=0)
        write_planted(root / "heldout", num_videos=32, seed=1)
        found = {
            space: [recalls(root, space, seed) for seed in range(num_seeds)] for space in MMV_SPACES
        }
    print(f"percent, mean of {num_seeds} seeds with 95 % interval; chance R@1 0.5, R@10 5.2")
    for space, of_seeds in found.items():
        for way in of_seeds[0]:
            print(f"{space:9} {way}  {told([one[way] for one in of_seeds])}")
    for space in ("shared", "disjoint"):
        for way in found[space][0]:
            pairs = zip(found["fac"], found[space], strict=True)
            print(f"fac less {space:9} {way}  {told([a[way] - b[way] for a, b in pairs])}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
