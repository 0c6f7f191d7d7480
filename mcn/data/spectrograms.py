"""Log-mel spectrograms of clips, for a DAVEnet that is trained with the rest.

Row t of the store is the frame centred on t / 100 s, 40 bands in dB from -80 to 0.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float16, Int64
from torch import Tensor

from mcn.data.clip_form import BANDS, FRAMES_PER_SECOND, LOUDEST_DB, SILENCE_DB, ClipForm
from mcn.store.reader import FeatureStore


def holds_spectrograms(store: FeatureStore) -> bool:
    """Whether its rows are frames of a log-mel spectrogram."""
    return store.dim == BANDS and store.rows_per_second == FRAMES_PER_SECOND


def check_spectrograms(store: FeatureStore, form: ClipForm) -> None:
    """Make sure that audio is stored in the form in which it is to be read.

    Raises:
        ValueError: Spectrograms are wanted and not stored, or the other way round.
    """
    is_stored = holds_spectrograms(store)
    if form.spectrogram_frames is not None and not is_stored:
        raise ValueError(
            f"{store.folder} holds rows of {store.dim} numbers, {store.rows_per_second} a second, "
            f"and a DAVEnet that is trained takes log-mel spectrograms, {BANDS} bands at "
            f"{FRAMES_PER_SECOND:g}: give --audio audio-logmel, which jobs/extract.py "
            "--audio-network logmel makes"
        )
    if form.spectrogram_frames is None and is_stored:
        raise ValueError(
            f"{store.folder} holds log-mel spectrograms, whose mean over a clip says little: "
            "train a DAVEnet on them with --audio-encoder resdavenet, or give another --audio"
        )


def read_spectrograms(
    store: FeatureStore,
    video_id: str,
    ranges: Int64[np.ndarray, "clips 2"],
    *,
    most_frames: int,
) -> list[np.ndarray | None]:
    """Frames of each range as (frames, 40), long ones cut off behind; None where it is empty.

    They are parts of one array, read at once, that clips which overlap share.
    """
    stops = np.minimum(ranges[:, 1], ranges[:, 0] + most_frames)
    held = ranges[:, 0] < stops
    if not held.any():
        return [None] * len(ranges)
    begin = int(ranges[held, 0].min())
    frames = store.read(video_id, begin, int(stops[held].max()))
    return [
        frames[first - begin : stop - begin] if first < stop else None
        for first, stop in zip(ranges[:, 0].tolist(), stops.tolist(), strict=True)
    ]


def stack_spectrograms(
    spectrograms: Sequence[np.ndarray | None], form: ClipForm
) -> tuple[Float16[Tensor, "clips 40 frames"], Int64[Tensor, " clips"]]:
    """Spectrograms as DAVEnet takes them, padded to one length, and how many frames each has.

    Clips without audio have no frames.
    """
    most = form.spectrogram_frames
    assert most is not None
    counts = [0 if one is None else min(len(one), most) for one in spectrograms]
    is_published = form.audio_padding == "published"
    padded = np.full(
        (len(counts), BANDS, most if is_published else max([1, *counts])),
        LOUDEST_DB if is_published else SILENCE_DB,
        np.float16,
    )
    for clip, (one, count) in enumerate(zip(spectrograms, counts, strict=True)):
        if one is not None:
            padded[clip, :, :count] = one[:count].T
    return torch.from_numpy(padded), torch.tensor(counts, dtype=torch.int64)
