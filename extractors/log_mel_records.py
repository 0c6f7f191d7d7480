"""Log-mel spectrograms of resized videos as records of the store, for a DAVEnet that is trained."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extractors.audio import HOP_SAMPLES, SAMPLE_RATE, log_mel
from extractors.batching import OneByOne
from extractors.corpus import ResizedVideos
from extractors.network_record import features_record
from extractors.one_pass import MediaSource
from extractors.sandbox import DEFAULT_LIMITS, SandboxLimits
from extractors.streams import Sound, Stream
from mcn.models.davenet import NUM_MEL
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record

RECIPE_VERSION = 1
"""Raise it when the code makes other rows of the same sound."""


class LogMelRecords(MediaSource):
    """The log-mel spectrogram of each resized video: a row of 40 bands every 10 ms, in dB."""

    stream: Stream = Sound(SAMPLE_RATE)

    def __init__(
        self,
        videos: ResizedVideos,
        *,
        name: str,
        min_complete: float = 0.95,
        limits: SandboxLimits = DEFAULT_LIMITS,
    ) -> None:
        """Takes the videos and the name of their store.

        A video must be there to a share of `min_complete`, and may cost what the limits say.
        """
        self.videos = videos
        self.min_complete = min_complete
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
                "min_complete": min_complete,
            },
        )
        self.provenance: dict[str, str | int | float] = {
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def piece(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array)

    def row_maker(self) -> OneByOne:
        return OneByOne(
            lambda waveform: log_mel(waveform, SAMPLE_RATE, silence="quiet").T.contiguous(),
            most_bytes=self.limits.memory_bytes,
        )

    def record(self, video_id: str, rows: Tensor, completeness: float) -> Record:
        # Where it is silent a row is the same in all bands.
        return features_record(video_id, rows, completeness, self.fingerprint)
