"""What the encoders make of the whole set of clips, computed in shares and brought to rank 0."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from mcn.choices import Inputs, Precision
from mcn.data.batches import ClipBatch
from mcn.data.clip_source import ClipSource
from mcn.modality import Modality
from mcn.models.xdc import TRAINED, Xdc
from mcn.training.distributed import bring_to_first, gather_lines, rank, world_size
from mcn.training.kept_out import KeptOut, kept_out_anywhere
from mcn.training.loader import read_ahead
from mcn.training.unread import UnreadVideos
from mcn.training.xdc.kept_features import ChunkFeatures, KeptFeatures

CLIPS_AT_ONCE: dict[Inputs, int] = {"features": 256, "clips": 32}
"""Whatever the number of ranks, so that products have the same shapes and sums the same bits."""

VIDEOS_SHOWN = 5


class Chunks(Dataset[ClipBatch]):
    """The whole set, so many clips at once; as they are most typically read."""

    def __init__(self, source: ClipSource, clips_at_once: int) -> None:
        self.source = source
        self.clips_at_once = clips_at_once

    def __len__(self) -> int:
        return -(-len(self.source.places) // self.clips_at_once)

    def __getitem__(self, chunk: int) -> ClipBatch:
        begin = chunk * self.clips_at_once
        stop = min(begin + self.clips_at_once, len(self.source.places))
        return self.source.read(range(begin, stop))


@dataclass(frozen=True)
class WholeSet:
    """What became of every clip of the set."""

    features: dict[Modality, Float[Tensor, "clips out_dim"]]
    """On the processor of rank 0, and empty elsewhere; NaN where a clip lacks the modality."""
    kept_out: KeptOut


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """How the features of the whole set are computed."""

    source: ClipSource
    kept: KeptFeatures
    device: torch.device
    precision: Precision
    clips_at_once: int
    workers: int
    group: dist.ProcessGroup | None
    """In which ranks wait for each other."""
    unread: UnreadVideos
    most_unread_percent: float
    """Of all clips; more are an error."""

    def __call__(self, model: Xdc, *, go_on: Callable[[int, int], bool]) -> WholeSet | None:
        """By the encoders as they are; None where they were not to go on.

        Raises:
            ValueError: Too many clips could not be read.

        Args:
            model: In training before and afterwards, in evaluation meanwhile.
            go_on: Asked by all ranks between two chunks, with those done and all of them.
        """
        model.eval()
        try:
            return self._extract(model, go_on)
        finally:
            model.train()

    def _extract(self, model: Xdc, go_on: Callable[[int, int], bool]) -> WholeSet | None:
        chunks = Chunks(self.source, self.clips_at_once)
        mine = range(rank(), len(chunks), world_size())
        known = self.kept.load(mine)
        num_rows = len(chunks) * self.clips_at_once if rank() == 0 else 0
        whole = {modality: torch.empty(num_rows, model.dims.out) for modality in TRAINED}
        kept_out: dict[Modality, Counter[str]] = {modality: Counter() for modality in TRAINED}
        unread: dict[str, tuple[int, str]] = {}
        unknown = [chunk for chunk in mine if chunk not in known]
        with read_ahead(chunks, unknown, workers=self.workers, device=self.device) as batches:
            # Of the last turn there may be nothing left for some ranks, which then send nothing.
            for first in range(0, len(chunks), world_size()):
                if not go_on(first, len(chunks)):
                    return None
                chunk = first + rank()
                done = known.get(chunk)
                if done is None and chunk in mine:
                    batch = next(batches)
                    done = self._features(model, batch)
                    unread |= _unread_of(batch, before=unread)
                    if not batch.unread:  # else the clips may be there when the run carries on
                        self.kept.add(chunk, done)
                for modality in TRAINED:
                    rows = torch.full((self.clips_at_once, model.dims.out), torch.nan)
                    if done is not None:
                        rows[: len(done.features[modality])] = done.features[modality]
                        kept_out[modality].update(done.kept_out[modality])
                    for sender, received in enumerate(bring_to_first(rows, self.group)):
                        begin = (first + sender) * self.clips_at_once
                        whole[modality][begin : begin + self.clips_at_once] = received[
                            : max(0, num_rows - begin)
                        ]
        num_clips = len(self.source.places)
        features = {modality: rows[:num_clips] for modality, rows in whole.items()}
        self._check_unread(unread)
        return WholeSet(features, kept_out_anywhere(kept_out, self.device))

    def _check_unread(self, local: dict[str, tuple[int, str]]) -> None:
        """Raises ValueError on every rank if more clips than may be could not be read."""
        lines = gather_lines([json.dumps(found) for found in local.items()], self.device)
        unread = [(video_id, number, why) for video_id, (number, why) in map(json.loads, lines)]
        num_clips, most = len(self.source.places), self.most_unread_percent
        num_unread = sum(number for _, number, _ in unread)
        if num_unread <= most / 100 * num_clips:
            return
        shown = "; ".join(f"{video_id}: {why}" for video_id, _, why in unread[:VIDEOS_SHOWN])
        raise ValueError(
            f"{num_unread} of {num_clips} clips could not be read, more than {most:g} %, as "
            f"{shown}. Mend that, and the same command carries on; or have it carry on without "
            f"these clips by --most-unread-percent {math.ceil(100 * num_unread / num_clips)}"
        )

    @torch.no_grad()
    def _features(self, model: Xdc, batch: ClipBatch) -> ChunkFeatures:
        self.unread.say(batch)
        there = batch.to(self.device)
        is_half = self.precision == "bf16"
        features: dict[Modality, Tensor] = {}
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half):
            for modality in TRAINED:
                rows = model.features(there, modality).float()
                has = there.has[modality][:, None]
                features[modality] = torch.where(has, rows, torch.nan).cpu()
        return ChunkFeatures(features, {m: dict(batch.kept_out[m]) for m in TRAINED})


def _unread_of(
    batch: ClipBatch, *, before: Mapping[str, tuple[int, str]]
) -> dict[str, tuple[int, str]]:
    """Videos of a batch, how many of their clips could not be read until now, and why."""
    return {
        video_id: (
            before.get(video_id, (0, ""))[0]
            + max(batch.kept_out[modality].get(video_id, 0) for modality in TRAINED),
            why,
        )
        for video_id, why in batch.unread.items()
    }
