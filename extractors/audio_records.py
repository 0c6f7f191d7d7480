"""Sound of resized videos as records of the store."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from extractors.audio import ROWS_PER_SECOND, AudioExtractor, log_mel
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
        self,
        resized: Path,
        extractor: AudioExtractor,
        weights: Weights,
        *,
        name: str,
        resize_rule: Mapping[str, str | int | float],
        completeness: Mapping[str, float],
    ) -> None:
        """Takes what every video needs.

        Args:
            resized: Folder of the resized videos.
            extractor: The network.
            weights: What it was loaded with.
            name: Of the extractor, as its store is called.
            resize_rule: How the videos were resized.
            completeness: How much of each video there is.
        """
        self.resized = resized
        self.extractor = extractor
        self.completeness = completeness
        self.fingerprint = Fingerprint(
            extractor=name,
            weights_sha256=weights.sha256,
            dim=DIM,
            rows_per_second=ROWS_PER_SECOND,
            recipe={
                "version": RECIPE_VERSION,
                "weights": weights.description,
                "sample_rate": resize_rule["sample_rate"],
            },
        )
        self.provenance: dict[str, str | int | float] = {
            "device": extractor.device.type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "window_frames": extractor.window_frames,
            "windows_per_batch": extractor.windows_per_batch,
        }

    def records(self, video_ids: Sequence[str]) -> Iterator[Record]:
        for video_id in video_ids:
            try:
                waveform = read_waveform(self.resized / f"{video_id}.mp4", SAMPLE_RATE)
            except MediaError as error:
                yield failed_record(video_id, error.reason, self.fingerprint)
                continue
            rows = self.extractor(log_mel(torch.from_numpy(waveform), SAMPLE_RATE))
            completeness = self.completeness.get(video_id, 1.0)
            yield features_record(video_id, rows, completeness, self.fingerprint)
