"""Log-mel spectrograms of resized videos as records of the store, for a DAVEnet that is trained."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from extractors.audio import HOP_SAMPLES, SAMPLE_RATE
from extractors.audio_records import sound_records
from extractors.corpus import ResizedVideos
from extractors.sandbox import DEFAULT_LIMITS, SandboxLimits
from mcn.models.davenet import NUM_MEL
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record

RECIPE_VERSION = 1
"""Raise it when the code makes other rows of the same sound."""


class LogMelRecords:
    """The log-mel spectrogram of each resized video: a row of 40 bands every 10 ms, in dB."""

    def __init__(
        self, videos: ResizedVideos, *, name: str, limits: SandboxLimits = DEFAULT_LIMITS
    ) -> None:
        """Takes the videos and the name of their store; a video may cost what the limits say."""
        self.videos = videos
        self.limits = limits
        self.fingerprint = Fingerprint(
            extractor=name,
            weights_sha256="none",
            dim=NUM_MEL,
            rows_per_second=SAMPLE_RATE / HOP_SAMPLES,
            recipe={
                "version": RECIPE_VERSION,
                "weights": "none",
                "sample_rate": videos.rule["sample_rate"],
            },
        )
        self.provenance: dict[str, str | int | float] = {
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        return sound_records(video_ids, self.videos, _frames, self.fingerprint, limits=self.limits)


def _frames(mel: Float[Tensor, "40 frames"]) -> Float[Tensor, "frames 40"]:
    return mel.T.contiguous()
