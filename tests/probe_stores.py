"""Planted features of benchmarks of classes: what is seen and heard of a video tells its class."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from mcn.data.probe_folder import read_labels
from mcn.modality import Modality
from tests.step_corpus import AUDIO_RATE, INTO
from tests.stores import FEATURES, write_features

SECONDS = 8


def write_planted(
    folder: Path, *, missing: Collection[str] = (), noise: float = 0.3, seed: int = 11
) -> None:
    """Stores of video and audio for the labelled videos of a folder.

    Each class has a latent of the world of `tests.stores`, which its videos show and let hear.
    """
    rng = np.random.default_rng(seed)
    labelled = read_labels(folder)
    latents = rng.normal(size=(len(labelled.classes), 4)) * 2
    ids = sorted(labelled.labels)
    kinds: tuple[tuple[Modality, str, int], ...] = (
        ("video", FEATURES.video, 1),
        ("audio", FEATURES.audio, AUDIO_RATE),
    )
    for modality, name, rate in kinds:
        rows = {}
        for video_id in ids:
            if video_id in missing:
                continue
            latent = latents[labelled.labels[video_id]] + noise * rng.normal(size=4)
            clean = np.tile(latent, (SECONDS * rate, 1)) @ INTO[modality]
            rows[video_id] = (clean + noise * rng.normal(size=clean.shape)).astype(np.float16)
        write_features(folder / "store", name, ids, rows, rate=float(rate))
