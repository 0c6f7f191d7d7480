"""Small stores whose modalities share what happens in each clip, for tests of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcn.data.stores import Features
from mcn.modality import Modality
from mcn.store.fingerprint import Fingerprint
from mcn.store.layout import RowType
from mcn.store.record import SPAN, Record
from mcn.store.word_table import write_word_table
from mcn.store.writer import ShardWriter

DIMS: dict[Modality, int] = {"video": 12, "audio": 10, "text": 8}
SECONDS_PER_CLIP = 4
WORDS_PER_CLIP = 3
FEATURES = Features()


def ids_of_stores(num_videos: int, seed: int = 0) -> list[str]:
    """The videos of `write_stores`."""
    return [f"video{seed}-{index:03d}" for index in range(num_videos)]


def write_stores(
    folder: Path, *, num_videos: int = 24, clips_per_video: int = 5, seed: int = 0
) -> None:
    """Stores of three modalities that are three noisy projections of one latent per clip.

    The last video has no audio. Clips last four seconds, one caption each.
    """
    projections = np.random.default_rng(99)
    into = {modality: projections.normal(size=(4, dim)) for modality, dim in DIMS.items()}
    generator = np.random.default_rng(seed)
    ids = ids_of_stores(num_videos, seed)
    latents = {video_id: generator.normal(size=(clips_per_video, 4)) for video_id in ids}

    def rows(video_id: str, modality: Modality, per_clip: int) -> NDArray[np.float16]:
        clean = latents[video_id].repeat(per_clip, axis=0) @ into[modality]
        return (clean + 0.1 * generator.normal(size=clean.shape)).astype(np.float16)

    video = {v: rows(v, "video", SECONDS_PER_CLIP) for v in ids}
    audio = {v: rows(v, "audio", 2 * SECONDS_PER_CLIP) for v in ids[:-1]}
    text = write_words(folder, {v: rows(v, "text", WORDS_PER_CLIP) for v in ids})
    write_features(folder, FEATURES.video, ids, video, rate=1.0)
    write_features(folder, FEATURES.audio, ids, audio, rate=2.0)
    write_features(folder, FEATURES.text, ids, text, rate=None)


def write_words(
    store: Path, vectors: dict[str, NDArray[np.float16]]
) -> dict[str, NDArray[np.int32]]:
    """A table in which every row of every text is a word of its own; the numbers of these."""
    ends = np.cumsum([len(rows) for rows in vectors.values()]).tolist()
    words = [f"word{number}" for number in range(ends[-1])]
    write_word_table(store, words, np.concatenate([*vectors.values()]), "0" * 64)
    return {
        text_id: np.arange(end - len(rows), end, dtype=np.int32)[:, None]
        for (text_id, rows), end in zip(vectors.items(), ends, strict=True)
    }


def fingerprint_of(name: str, dim: int, rate: float | None) -> Fingerprint:
    """Of features at a fixed rate, else of numbers of words."""
    row_type: RowType = "int32" if rate is None else "float16"
    return Fingerprint(name, "0" * 64, dim, rate, {"version": 1}, row_type)


def write_features(
    store: Path,
    name: str,
    ids: list[str],
    features: Mapping[str, NDArray[Any]],
    *,
    rate: float | None,
) -> None:
    """One store of one shard; a video without features has failed."""
    dim = next(iter(features.values())).shape[1]
    fingerprint = fingerprint_of(name, dim, rate)
    with ShardWriter(
        store / name / "00000.h5", video_ids=ids, fingerprint=fingerprint, provenance={}
    ) as writer:
        for video_id in ids:
            writer.append(_record(video_id, features.get(video_id), dim, rate))
        writer.seal()


def _record(video_id: str, rows: NDArray[Any] | None, dim: int, rate: float | None) -> Record:
    if rows is None:
        return Record(video_id, "failed", "no-audio", 0.0, np.zeros((0, dim), np.float16))
    if rate is not None:
        return Record(video_id, "done", "", 1.0, rows)
    num_clips = len(rows) // WORDS_PER_CLIP
    spans = np.zeros(num_clips, SPAN)
    spans["start_seconds"] = SECONDS_PER_CLIP * np.arange(num_clips)
    spans["end_seconds"] = spans["start_seconds"] + SECONDS_PER_CLIP
    spans["num_rows"] = WORDS_PER_CLIP
    return Record(video_id, "done", "", 1.0, rows, spans)


SPECTROGRAMS = Features(audio="audio-logmel")


def write_spectrograms(folder: Path, ids: list[str], *, clips_per_video: int = 5) -> None:
    """Log-mel spectrograms of videos of `write_stores`, a tone for each clip; none of the last."""
    generator = np.random.default_rng(6)
    spectrograms = {}
    for video_id in ids[:-1]:
        rows = generator.uniform(-80, -60, (clips_per_video * SECONDS_PER_CLIP * 100 + 1, 40))
        tones = generator.integers(0, 40, clips_per_video).repeat(SECONDS_PER_CLIP * 100)
        rows[np.arange(len(tones)), tones] = -5
        spectrograms[video_id] = rows.astype(np.float16)
    write_features(folder, SPECTROGRAMS.audio, ids, spectrograms, rate=100.0)


MOTION = Features(video_3d="video-motion")
MOTION_DIM = 6


def write_motion(folder: Path, ids: list[str], *, without: str = "", seconds: int = 20) -> None:
    """3-D features at three rows in two seconds, of all these videos but one."""
    generator = np.random.default_rng(5)
    rows = {
        video_id: generator.normal(size=(seconds * 3 // 2, MOTION_DIM)).astype(np.float16)
        for video_id in ids
        if video_id != without
    }
    assert MOTION.video_3d is not None
    write_features(folder, MOTION.video_3d, ids, rows, rate=1.5)
