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

from mcn.data.batches import NO_WORD, Clips, clips_that_lack_all
from mcn.data.clip_reader import ClipReader
from mcn.evaluation.directions import BY_SENTENCES, DIRECTIONS, spaces_of_directions
from mcn.evaluation.published import Evaluated
from mcn.evaluation.zero_shot import (
    ClipEmbeddings,
    embed_clips,
    text_space,
    words_of_lines,
)
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
            num_rows = reader.stores[modality].entry(video_id).num_rows
            # Spectrograms have a frame at the beginning and one at the end.
            is_framed = modality == "audio" and reader.form.spectrogram_frames is not None
            return math.ceil((num_rows - is_framed) / rate)
    return 0


def read_seconds(reader: ClipReader, video_id: str) -> Clips:
    """One clip a second, without words."""
    begins = np.arange(count_seconds(reader, video_id), dtype=np.float64)
    silence = np.full((len(begins), 1), NO_WORD, np.int32)
    seen = reader.read(video_id, begins, begins + 1, silence)
    middles = begins + 0.5
    around = middles - AUDIO_SECONDS / 2, middles + AUDIO_SECONDS / 2
    return dataclasses.replace(seen, audio=reader.read(video_id, *around, silence).audio)


def embed_lines(
    model: Evaluated, reader: ClipReader, text_id: str, num_lines: int, *, max_words: int
) -> ClipEmbeddings:
    """Embed each line of a text of the store, as captions are."""
    words = words_of_lines(reader, text_id, num_lines, max_words=max_words)
    nothing = clips_that_lack_all(num_lines, reader.dims, max_words=max_words, form=reader.form)
    lines = dataclasses.replace(nothing, video_id=text_id, words=words)
    return embed_clips(model, [lines], reader.form, ("text",), space=text_space(model))


def directions_of_steps(model: Evaluated) -> tuple[str, ...]:
    """What steps, which are sentences, can be compared with in the model's spaces."""
    return tuple(key for key in spaces_of_directions(model.spaces) if key in BY_SENTENCES)


def score_seconds(
    model: Evaluated, reader: ClipReader, video_id: str, lines: ClipEmbeddings
) -> Mapping[str, Float[np.ndarray, "seconds lines"]]:
    """Sum of the products of each second with each line, by what lines are compared with.

    A line without a known word has no score (NaN). A way of comparing is left out where the
    video lacks one of its modalities altogether, or the space of the lines does.
    """
    clips = [read_seconds(reader, video_id)]
    space = text_space(model)
    seconds = embed_clips(model, clips, reader.form, SEEN_AND_HEARD, space=space)
    texts = lines.embeddings["text"].clone()
    texts[~lines.has["text"]] = torch.nan
    return {
        direction: (torch.stack([seconds.embeddings[m] for m in parts]).sum(dim=0) @ texts.T)
        .double()
        .numpy()
        for direction in directions_of_steps(model)
        for parts in (DIRECTIONS[direction].items,)
        if all(seconds.has[m].any() for m in parts)
    }
