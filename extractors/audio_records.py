"""Sound of resized videos as records of the store."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extractors.audio import ROWS_PER_SECOND, SAMPLE_RATE, AudioExtractor, log_mel
from extractors.batching import OneByOne
from extractors.corpus import ResizedVideos
from extractors.network_record import network_record
from extractors.one_pass import MediaSource
from extractors.sandbox import DEFAULT_LIMITS, SandboxLimits
from extractors.streams import Sound, Stream
from extractors.weights import Weights
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record

RECIPE_VERSION = 1
"""Raise it when the code makes other rows of the same sound."""
DIM = 1024


class AudioRecords(MediaSource):
    """DAVEnet features of each resized video."""

    stream: Stream = Sound(SAMPLE_RATE)

    def __init__(
        self,
        videos: ResizedVideos,
        extractor: AudioExtractor,
        weights: Weights,
        *,
        name: str,
        min_complete: float = 0.95,
        limits: SandboxLimits = DEFAULT_LIMITS,
    ) -> None:
        """Takes the videos, the network, what it was loaded with, the name of its store.

        A video must be there to a share of `min_complete`, and may cost what the limits say.
        """
        self.videos = videos
        self.limits = limits
        self.extractor = extractor
        self.min_complete = min_complete
        self.fingerprint = Fingerprint(
            extractor=name,
            weights_sha256=weights.sha256,
            dim=DIM,
            rows_per_second=ROWS_PER_SECOND,
            recipe={
                "version": RECIPE_VERSION,
                "weights": weights.description,
                "sample_rate": videos.rule["sample_rate"],
                "min_complete": min_complete,
            },
        )
        self.provenance: dict[str, str | int | float] = {
            "device": extractor.device.type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "window_frames": extractor.window_frames,
            "windows_per_batch": extractor.windows_per_batch,
        }

    def piece(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array)

    def row_maker(self) -> OneByOne:
        return OneByOne(
            lambda waveform: self.extractor(log_mel(waveform, SAMPLE_RATE, silence="quiet")),
            most_bytes=self.limits.memory_bytes,
        )

    def record(self, video_id: str, rows: Tensor, completeness: float) -> Record:
        return network_record(video_id, rows, completeness, self.fingerprint)
