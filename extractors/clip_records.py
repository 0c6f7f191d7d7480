"""Clips of resized videos as records of the store."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extractors.batching import Packer
from extractors.clips import FPS, FRAMES_PER_CLIP, ClipExtractor, clips_of
from extractors.corpus import ResizedVideos
from extractors.network_record import network_record
from extractors.one_pass import MediaSource
from extractors.sandbox import DEFAULT_LIMITS, SandboxLimits
from extractors.weights import Weights
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record

RECIPE_VERSION = 1
"""Raise it when the code makes other rows of the same clips."""


class ClipRecords(MediaSource):
    """Motion features of each resized video, three rows in two seconds."""

    def __init__(
        self,
        videos: ResizedVideos,
        extractor: ClipExtractor,
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
        self.stream = extractor.form.stream
        self.fingerprint = Fingerprint(
            extractor=name,
            weights_sha256=weights.sha256,
            dim=extractor.dim,
            rows_per_second=FPS / FRAMES_PER_CLIP,
            recipe={
                "version": RECIPE_VERSION,
                "weights": weights.description,
                "fps": FPS,
                "frames_per_clip": FRAMES_PER_CLIP,
                "size": "x".join(map(str, self.stream.size)),
                "crop": "x".join(map(str, self.stream.crop)),
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
        # Only the last has a number of frames that is no multiple of those of a clip.
        return clips_of(torch.from_numpy(array))

    def row_maker(self) -> Packer:
        return Packer(self.extractor, self.extractor.batch_size)

    def record(self, video_id: str, rows: Tensor, completeness: float) -> Record:
        return network_record(video_id, rows, completeness, self.fingerprint)
