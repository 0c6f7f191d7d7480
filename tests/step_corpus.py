"""A root with a trained toy model and held-out benchmarks in which its world goes on.

The modalities are projections of one latent a clip, as in `tests.stores`. A step has a latent: its
words show it, and so do the seconds in which it is done; all other seconds show something else.
"""

import csv
from pathlib import Path

import numpy as np

from mcn.data.stores import open_stores
from mcn.modality import Modality
from mcn.objectives import Stage
from mcn.store.record import SPAN, Record
from mcn.store.writer import ShardWriter
from mcn.training.config import Runtime, TrainConfig
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder
from tests.stores import (
    DIMS,
    FEATURES,
    SECONDS_PER_CLIP,
    WORDS_PER_CLIP,
    fingerprint_of,
    write_stores,
    write_words,
)

CONFIG = TrainConfig(
    stage=Stage.AVT,
    batch_size=8,
    clips_per_video=4,
    stage1_epochs=20,
    stage2_epochs=15,
    lr=1e-3,
    embedding_dim=32,
    reconstruction_dim=16,
    min_clip_seconds=2.0,
    clusters=6,
    queue_size=64,
    refit_every_steps=5,
)
AUDIO_RATE = 2
NUM_SECONDS = 40
STEPS = {"1001": 4, "1002": 6}
"""Steps of each task of the toy CrossTask."""
SILENT = "v1002_0"
"""A CrossTask video without sound."""

_projections = np.random.default_rng(99)
INTO = {modality: _projections.normal(size=(4, dim)) for modality, dim in DIMS.items()}


def train_toy(root: Path, *, seed: int = 0) -> RunFolder:
    write_stores(root / "store", num_videos=32)
    run = RunFolder(root / "runs" / f"AVT-seed{seed}")
    stores = open_stores(root / "store", FEATURES)
    train(TrainConfig(**{**vars(CONFIG), "seed": seed}), Runtime(), stores, run)
    return run


def write_crosstask(folder: Path, *, videos_per_task: int = 5) -> None:
    """Steps in order at planted times, some of them missing in every video."""
    rng = np.random.default_rng(7)
    latents = {task: rng.normal(size=(num, 4)) for task, num in STEPS.items()}
    lines = []
    for task, num in STEPS.items():
        names = ",".join(f"step{k} of {task}" for k in range(num))
        lines += [task, f"Task {task}", "http://x", str(num), names, ""]
    (folder / "annotations").mkdir(parents=True)
    (folder / "tasks_primary.txt").write_text("\n".join(lines))
    seen = {}
    for task, num in STEPS.items():
        for index in range(videos_per_task):
            video_id = f"v{task}_{index}"
            rows = rng.normal(size=(NUM_SECONDS, 4))
            spans = []
            for step in range(num):
                start = 2 + step * 6 + int(rng.integers(0, 3))
                if (step + index) % 3:
                    rows[start : start + 3] = latents[task][step]
                    spans.append((step + 1, start + 0.2, start + 2.9))
            seen[video_id] = rows
            with (folder / "annotations" / f"{task}_{video_id}.csv").open("w", newline="") as file:
                csv.writer(file).writerows(spans)
    write_benchmark_stores(folder / "store", seen, latents, rng, silent={SILENT})


def write_mining_youtube(folder: Path, *, num_videos: int = 12, fps: int = 5) -> None:
    """Background and actions by turns; frames come at a rate that no file names."""
    rng = np.random.default_rng(8)
    names = ["crack_egg", "add_butter", "background", "stir_milk"]
    latents = rng.normal(size=(4, 4))
    for name in ("transcripts", "groundTruth"):
        (folder / name).mkdir(parents=True)
    mapping = "".join(f"{10 * number} {name}\n" for number, name in enumerate(names))
    (folder / "mapping_without_meta.txt").write_text(mapping)
    seen = {}
    for index in range(num_videos):
        actions = rng.permutation([0, 1, 3]).tolist()
        transcript = [2, actions[0], 2, actions[1], 2, actions[2], 2]
        lengths = rng.integers(3, 9, size=len(transcript))
        labels = np.repeat(transcript, lengths)
        video_id = f"mine{index}"
        (folder / "transcripts" / f"{video_id}.txt").write_text(
            " ".join(names[k] for k in transcript) + "\n"
        )
        (folder / "groundTruth" / f"{video_id}.txt").write_text(
            "".join(f"{names[k]}\n" for k in labels.repeat(fps))
        )
        seen[video_id] = latents[labels]
    write_benchmark_stores(folder / "store", seen, {"classes": latents}, rng, silent=set())


def write_youcook2(folder: Path, *, num_videos: int = 12, clips_per_video: int = 3) -> None:
    """A retrieval benchmark: the last video without sound, the last sentence of unknown words."""
    rng = np.random.default_rng(9)
    ids = [f"cook{index:02}" for index in range(num_videos)]
    latents = {v: rng.normal(size=(clips_per_video, 4)) for v in ids}
    rows = [
        (SECONDS_PER_CLIP * (clip + 1), SECONDS_PER_CLIP * clip, "113", f"{v} does {clip}", v)
        for v in ids
        for clip in range(clips_per_video)
    ]
    folder.mkdir(parents=True)
    with (folder / "validation_youcook.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("end", "start", "task", "text", "video_id"), *rows])
    seen = {v: latents[v].repeat(SECONDS_PER_CLIP, axis=0) for v in ids}
    texts = {v: latents[v] for v in ids[:-1]}
    write_benchmark_stores(folder / "store", seen, texts, rng, silent={ids[-2]}, wordless=ids[-1])


def write_benchmark_stores(
    folder: Path,
    seen: dict[str, np.ndarray],
    texts: dict[str, np.ndarray],
    rng: np.random.Generator,
    *,
    silent: set[str],
    wordless: str = "",
) -> None:
    """Stores of what is seen and heard each second, and of texts with a latent a line."""

    def show(latents: np.ndarray, modality: Modality, per_row: int) -> np.ndarray:
        clean = latents.repeat(per_row, axis=0) @ INTO[modality]
        noisy: np.ndarray = (clean + 0.1 * rng.normal(size=clean.shape)).astype(np.float16)
        return noisy

    def failed(name: str, modality: Modality, reason: str) -> Record:
        return Record(name, "failed", reason, 0.0, np.zeros((0, DIMS[modality]), np.float16))

    video = [Record(v, "done", "", 1.0, show(rows, "video", 1)) for v, rows in seen.items()]
    audio = [
        failed(v, "audio", "no-audio")
        if v in silent
        else Record(v, "done", "", 1.0, show(rows, "audio", AUDIO_RATE))
        for v, rows in seen.items()
    ]
    text = []
    vectors = {name: show(lines, "text", WORDS_PER_CLIP) for name, lines in texts.items()}
    for name, words in write_words(folder, vectors).items():
        spans = np.zeros(len(texts[name]), SPAN)
        spans["num_rows"] = WORDS_PER_CLIP
        text.append(Record(name, "done", "", 1.0, words, spans))
    if wordless:
        no_words = np.zeros((0, 1), np.int32)
        text.append(Record(wordless, "failed", "no-known-words", 0.0, no_words))
    _write(folder / FEATURES.video, video, DIMS["video"], 1.0)
    _write(folder / FEATURES.audio, audio, DIMS["audio"], float(AUDIO_RATE))
    _write(folder / FEATURES.text, text, 1, None)


def _write(folder: Path, records: list[Record], dim: int, rate: float | None) -> None:
    fingerprint = fingerprint_of(folder.name, dim, rate)
    with ShardWriter(
        folder / "00000.h5",
        video_ids=[record.video_id for record in records],
        fingerprint=fingerprint,
        provenance={},
    ) as writer:
        for record in records:
            writer.append(record)
        writer.seal()
