"""Frames of resized videos as records of the store."""

from collections.abc import Iterable, Iterator
from contextlib import closing

import torch

from extractors.batching import Item, forward_across
from extractors.corpus import ResizedVideos
from extractors.extract import failed_record, features_record
from extractors.media import MediaError
from extractors.pictures import pictures_of
from extractors.sandbox import DEFAULT_LIMITS, Sandbox, SandboxLimits
from extractors.video import SHORT_SIDE, VideoExtractor, frames_from
from extractors.weights import Weights
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record

RECIPE_VERSION = 1
"""Raise it when the code makes other rows of the same frames."""


class VideoRecords:
    """Appearance features of each resized video, one row a second."""

    def __init__(
        self,
        videos: ResizedVideos,
        extractor: VideoExtractor,
        weights: Weights,
        *,
        name: str,
        limits: SandboxLimits = DEFAULT_LIMITS,
    ) -> None:
        """Takes the videos, the network, what it was loaded with, the name of its store.

        A video may cost what the limits say.
        """
        self.videos = videos
        self.limits = limits
        self.extractor = extractor
        self.fingerprint = Fingerprint(
            extractor=name,
            weights_sha256=weights.sha256,
            dim=extractor.dim,
            rows_per_second=1.0,
            recipe={
                "version": RECIPE_VERSION,
                "weights": weights.description,
                "short_side": SHORT_SIDE,
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

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        with (
            Sandbox(pictures_of, self.limits) as sandbox,
            closing(
                forward_across(
                    self._frames(video_ids, sandbox),
                    self.extractor,
                    batch_size=self.extractor.batch_size,
                )
            ) as results,
        ):
            for video_id, rows in results:
                if isinstance(rows, MediaError):
                    yield failed_record(video_id, rows.reason, self.fingerprint)
                else:
                    completeness = self.videos.completeness[video_id]
                    yield features_record(video_id, rows, completeness, self.fingerprint)

    def _frames(self, video_ids: Iterable[str], sandbox: Sandbox) -> Iterator[Item]:
        for video_id in video_ids:
            try:
                pictures = sandbox.run(
                    self.videos.path(video_id), promised_seconds=self.videos.seconds[video_id]
                )
                yield video_id, frames_from(pictures)
            except MediaError as error:
                yield video_id, error
