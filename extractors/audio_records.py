"""Sound of resized videos as records of the store."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from extractors.ahead import read_ahead
from extractors.audio import ROWS_PER_SECOND, AudioExtractor, log_mel
from extractors.batching import VIDEOS_AHEAD, Item
from extractors.corpus import ResizedVideos
from extractors.extract import failed_record, features_record
from extractors.media import MediaError, sound_of
from extractors.sandbox import DEFAULT_LIMITS, Sandbox, SandboxLimits
from extractors.weights import Weights
from mcn.store.fingerprint import Fingerprint
from mcn.store.record import Record

RECIPE_VERSION = 1
"""Raise it when the code makes other rows of the same sound."""
SAMPLE_RATE = 16_000
DIM = 1024


class AudioRecords:
    """DAVEnet features of each resized video."""

    def __init__(
        self,
        videos: ResizedVideos,
        extractor: AudioExtractor,
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
            dim=DIM,
            rows_per_second=ROWS_PER_SECOND,
            recipe={
                "version": RECIPE_VERSION,
                "weights": weights.description,
                "sample_rate": videos.rule["sample_rate"],
            },
        )
        self.provenance: dict[str, str | int | float] = {
            "device": extractor.device.type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "window_frames": extractor.window_frames,
            "windows_per_batch": extractor.windows_per_batch,
        }

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        return sound_records(
            video_ids, self.videos, self.extractor, self.fingerprint, limits=self.limits
        )


def sound_records(
    video_ids: Iterable[str],
    videos: ResizedVideos,
    rows_of: Callable[[Float[Tensor, "40 frames"]], Float[Tensor, "rows dim"]],
    fingerprint: Fingerprint,
    *,
    limits: SandboxLimits,
) -> Iterator[Record]:
    """A record for each video, of the rows that its log-mel spectrogram gives."""
    with (
        Sandbox(sound_of, limits) as sandbox,
        closing(
            read_ahead(_waveforms(video_ids, videos, sandbox), limit=VIDEOS_AHEAD)
        ) as waveforms,
    ):
        for video_id, waveform in waveforms:
            if isinstance(waveform, MediaError):
                yield failed_record(video_id, waveform.reason, fingerprint)
                continue
            rows = rows_of(log_mel(waveform, SAMPLE_RATE))
            yield features_record(video_id, rows, videos.completeness[video_id], fingerprint)


def _waveforms(video_ids: Iterable[str], videos: ResizedVideos, sandbox: Sandbox) -> Iterator[Item]:
    for video_id in video_ids:
        try:
            sound = sandbox.run(
                videos.path(video_id),
                promised_seconds=videos.seconds[video_id],
                sample_rate=SAMPLE_RATE,
            )
            yield video_id, torch.from_numpy(np.concatenate(list(sound)))
        except MediaError as error:
            yield video_id, error
