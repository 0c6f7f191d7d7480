"""How well every second of a video fits every step.

A second is embedded as a clip: its own rows of video features, and the sound of 8 seconds around
its middle, less at the ends of the video. The publication runs DAVEnet over each such stretch of
sound by itself, as is done here with a DAVEnet that was trained with the rest; stored rows come
from one pass over the whole video, so that those at the ends of a stretch have heard a little of
what lies beyond it.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float

from mcn.data.batches import Clip
from mcn.data.clip_reader import ClipReader
from mcn.evaluation.published import Space
from mcn.evaluation.zero_shot import DIRECTIONS, ClipEmbeddings, embed_clips, words_of_lines
from mcn.modality import Modality

AUDIO_SECONDS = 8.0

MOST_SPECTROGRAM_FRAMES = 1024
"""Of such a stretch, as published."""

SEEN_AND_HEARD: tuple[Modality, ...] = ("video", "audio")


def count_seconds(reader: ClipReader, video_id: str) -> int:
    """Seconds of a video, the last one begun; by its sound where there is no picture, else 0."""
    for modality in SEEN_AND_HEARD:
        rate = reader.stores[modality].rows_per_second
        if rate is not None and reader.has(modality, video_id):
            return math.ceil(reader.stores[modality].entry(video_id).num_rows / rate)
    return 0


def read_seconds(reader: ClipReader, video_id: str) -> list[Clip]:
    """One clip a second, without words."""
    begins = [float(second) for second in range(count_seconds(reader, video_id))]
    seen = reader.read_all(video_id, begins, [begin + 1 for begin in begins], [None] * len(begins))
    heard = reader.read_all(
        video_id,
        [begin + (1 - AUDIO_SECONDS) / 2 for begin in begins],
        [begin + (1 + AUDIO_SECONDS) / 2 for begin in begins],
        [None] * len(begins),
    )
    return [
        dataclasses.replace(second, audio=around.audio)
        for second, around in zip(seen, heard, strict=True)
    ]


def embed_lines(
    model: Space, reader: ClipReader, text_id: str, num_lines: int, *, max_words: int
) -> ClipEmbeddings:
    """Embed each line of a text of the store, as captions are."""
    clips = [
        Clip(text_id, 0.0, 0.0, video=None, audio=None, words=words)
        for words in words_of_lines(reader, text_id, num_lines)
    ]
    return embed_clips(model, clips, reader, max_words=max_words, modalities=("text",))


def score_seconds(
    model: Space, reader: ClipReader, video_id: str, lines: ClipEmbeddings, *, max_words: int
) -> Mapping[str, Float[np.ndarray, "seconds lines"]]:
    """Sum of the products of each second with each line, by what lines are compared with.

    A line without a known word has no score (NaN). A way of comparing is left out where the
    video lacks one of its modalities altogether.
    """
    seconds = embed_clips(
        model,
        read_seconds(reader, video_id),
        reader,
        max_words=max_words,
        modalities=SEEN_AND_HEARD,
    )
    texts = lines.embeddings["text"].clone()
    texts[~lines.has["text"]] = torch.nan
    return {
        direction: (torch.stack([seconds.embeddings[m] for m in parts]).sum(dim=0) @ texts.T)
        .double()
        .numpy()
        for direction, parts in DIRECTIONS.items()
        if all(seconds.has[m].any() for m in parts)
    }
