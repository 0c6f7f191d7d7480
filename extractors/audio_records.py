"""Sound of resized videos as records of the store."""

from collections.abc import Iterable, Iterator

import torch

from extractors.audio import ROWS_PER_SECOND, AudioExtractor, log_mel
from extractors.corpus import ResizedVideos
from extractors.extract import failed_record, features_record
from extractors.media import MediaError, read_waveform
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
        self, videos: ResizedVideos, extractor: AudioExtractor, weights: Weights, *, name: str
    ) -> None:
        """Takes the videos, the network, what it was loaded with, and the name of its store."""
        self.videos = videos
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
        for video_id in video_ids:
            try:
                waveform = read_waveform(self.videos.path(video_id), SAMPLE_RATE)
            except MediaError as error:
                yield failed_record(video_id, error.reason, self.fingerprint)
                continue
            rows = self.extractor(log_mel(torch.from_numpy(waveform), SAMPLE_RATE))
            completeness = self.videos.completeness[video_id]
            yield features_record(video_id, rows, completeness, self.fingerprint)
