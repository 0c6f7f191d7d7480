"""Pictures of resized videos as records of the store."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extractors.batching import Packer
from extractors.corpus import ResizedVideos
from extractors.network_record import network_record
from extractors.one_pass import MediaSource
from extractors.sandbox import DEFAULT_LIMITS, SandboxLimits
from extractors.streams import Pictures, Stream
from extractors.video import SHORT_SIDE, VideoExtractor, scaled
from extractors.weights import Weights
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record

RECIPE_VERSION = 1
"""Raise it when the code makes other rows of the same frames."""


class VideoRecords(MediaSource):
    """Appearance features of each resized video, one row a second."""

    stream: Stream = Pictures()

    def __init__(
        self,
        videos: ResizedVideos,
        extractor: VideoExtractor,
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
            dim=extractor.dim,
            rows_per_second=1.0,
            recipe={
                "version": RECIPE_VERSION,
                "weights": weights.description,
                "short_side": SHORT_SIDE,
                "min_complete": min_complete,
                **{f"resize.{key}": value for key, value in videos.rule.items()},
            },
        )
        self.provenance: dict[str, str | int | float] = {
            "device": extractor.device.type,
            "dtype": str(extractor.dtype).removeprefix("torch."),
            "batch_size": extractor.batch_size,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def piece(self, array: NDArray[np.uint8]) -> Tensor:
        return scaled(array)

    def row_maker(self) -> Packer:
        return Packer(self.extractor, self.extractor.batch_size)

    def record(self, video_id: str, rows: Tensor, completeness: float) -> Record:
        return network_record(video_id, rows, completeness, self.fingerprint)
