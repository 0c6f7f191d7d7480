"""Stores of a small corpus, with rows as wide and as many a second as the real ones."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mcn.data.stores import Features
from mcn.data.training_batches import Sampling
from mcn.store.word_table import write_word_table
from mcn.training.config import TrainConfig
from tests.benchmarks.feature_files import caption_spans, random_rows, write_store

FEATURES = Features()
VIDEO_SECONDS = 270
"""The mean of HowTo100M."""
SECONDS_PER_CAPTION = 3.5
WORDS_PER_CAPTION = 8
WORDS = 50_000
"""Different ones."""


def write_training_stores(folder: Path, *, num_videos: int) -> None:
    """Stores of all modalities, of videos that are narrated from beginning to end."""
    ids = [f"video{number:05d}" for number in range(num_videos)]

    def made_up(num_rows: int, dim: int) -> dict[str, NDArray[np.float16]]:
        return {id_: random_rows(number, num_rows, dim) for number, id_ in enumerate(ids)}

    video = made_up(VIDEO_SECONDS, 2048)
    write_store(folder / FEATURES.video, ids, video.__getitem__, rows_per_second=1.0)
    # DAVEnet gives a row for every 16 of the 100 spectra of a second.
    audio = made_up(int(VIDEO_SECONDS * 6.25), 1024)
    write_store(folder / FEATURES.audio, ids, audio.__getitem__, rows_per_second=6.25)
    captions = caption_spans(
        int(VIDEO_SECONDS / SECONDS_PER_CAPTION),
        seconds_per_caption=SECONDS_PER_CAPTION,
        words=WORDS_PER_CAPTION,
    )
    write_word_table(
        folder, [f"word{n}" for n in range(WORDS)], random_rows(0, WORDS, 300), "0" * 64
    )
    text = {
        id_: np.random.default_rng(number).integers(
            WORDS, size=(int(captions["num_rows"].sum()), 1), dtype=np.int32
        )
        for number, id_ in enumerate(ids)
    }
    write_store(folder / FEATURES.text, ids, text.__getitem__, rows_per_second=None, spans=captions)


def sampling(config: TrainConfig) -> Sampling:
    """How a run of this config draws its clips."""
    return Sampling(
        seed=config.seed,
        batch_size=config.batch_size,
        clips_per_video=config.clips_per_video,
        min_clip_seconds=config.min_clip_seconds,
        max_words=config.max_words,
        shuffled_captions=False,
        candidates=config.candidates,
    )
