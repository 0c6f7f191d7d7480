"""Rows of all clips of a benchmark, made once by a model that stands still."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mcn.data.clip_source import ClipSource
from mcn.probes.clip_batches import ClipBatches, in_batches
from mcn.probes.footing import Footing, has_all


@dataclass(frozen=True)
class RowsOfClips:
    """On the CPU, in the order of the clips."""

    video_ids: list[str]
    """Of each clip."""
    rows: Float[Tensor, "clips dim"]
    is_usable: Bool[np.ndarray, " clips"]
    """Whether a clip has every modality, and its rows are finite."""

    @property
    def unusable_videos(self) -> set[str]:
        """Those that have clips, but no usable one."""
        there = zip(self.video_ids, self.is_usable.tolist(), strict=True)
        return set(self.video_ids) - {video_id for video_id, is_usable in there if is_usable}

    def clips_of(self, video_ids: tuple[str, ...]) -> list[Int64[np.ndarray, " clips"]]:
        """Numbers of the usable clips of each of these videos."""
        by_video: dict[str, list[int]] = {}
        for number in np.flatnonzero(self.is_usable).tolist():
            by_video.setdefault(self.video_ids[number], []).append(number)
        return [np.array(by_video.get(video_id, ()), np.int64) for video_id in video_ids]

    def means(self, video_ids: tuple[str, ...]) -> Float[np.ndarray, "videos dim"]:
        """Over the usable clips of each video, in double precision."""
        rows = self.rows.numpy()
        return np.stack(
            [rows[clips].mean(axis=0, dtype=np.float64) for clips in self.clips_of(video_ids)]
        )


@torch.inference_mode()
def rows_of_clips(
    footing: Footing, source: ClipSource, device: torch.device, *, is_held: bool = True
) -> RowsOfClips:
    """All clips, read as is most typical.

    Args:
        footing: Makes the rows.
        source: All clips.
        device: Where rows are made.
        is_held: Whether clips are in memory, so that none need be read ahead.
    """
    footing.to(device).eval()
    parts, usable = [], []
    batches = ClipBatches(source, in_batches(range(len(source.places))))
    with batches.read(device, is_held=is_held) as read:
        for clips in read:
            batch = clips.to(device)
            rows = footing(batch)
            usable.append((has_all(batch, footing.modalities) & rows.isfinite().all(dim=1)).cpu())
            parts.append(rows.cpu())
    return RowsOfClips(source.places.video_ids, torch.cat(parts), torch.cat(usable).numpy())
