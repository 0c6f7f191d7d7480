"""What the encoders make of the whole set of clips, computed in shares and brought to rank 0."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from mcn.data.batches import ClipBatch
from mcn.data.clip_source import ClipSource
from mcn.modality import Modality
from mcn.models.xdc import TRAINED, Xdc
from mcn.training.distributed import bring_to_first, gather_lines, rank, world_size
from mcn.training.loader import read_ahead
from mcn.training.stepper import Precision

CLIPS_AT_ONCE = 256
"""Whatever the number of ranks, so that products have the same shapes and sums the same bits."""

KeptOut = dict[Modality, dict[str, int]]
"""Videos with clips whose features were not finite, and how many clips."""


class Chunks(Dataset[ClipBatch]):
    """The whole set, so many clips at once; as they are most typically read."""

    def __init__(self, source: ClipSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return -(-len(self.source.places) // CLIPS_AT_ONCE)

    def __getitem__(self, chunk: int) -> ClipBatch:
        begin = chunk * CLIPS_AT_ONCE
        return self.source.read(range(begin, min(begin + CLIPS_AT_ONCE, len(self.source.places))))


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
    device: torch.device
    precision: Precision
    workers: int
    group: dist.ProcessGroup | None
    """In which ranks wait for each other."""

    def __call__(self, model: Xdc, *, go_on: Callable[[int, int], bool]) -> WholeSet | None:
        """By the encoders as they are; None where they were not to go on.

        Args:
            model: In training before and afterwards, in evaluation meanwhile.
            go_on: Asked by all ranks between two chunks, with those done and all of them.
        """
        chunks = Chunks(self.source)
        mine = range(rank(), len(chunks), world_size())
        num_turns = -(-len(chunks) // world_size())
        whole: dict[Modality, list[Tensor]] = {modality: [] for modality in TRAINED}
        kept_out: dict[Modality, Counter[str]] = {modality: Counter() for modality in TRAINED}
        model.eval()
        try:
            with read_ahead(chunks, mine, workers=self.workers, device=self.device) as batches:
                for turn in range(num_turns):
                    if not go_on(turn * world_size(), len(chunks)):
                        return None
                    batch = next(batches) if turn < len(mine) else None
                    for modality in TRAINED:
                        rows = self._features(model, batch, modality)
                        whole[modality] += bring_to_first(rows, self.group)
                        if batch is not None:
                            kept_out[modality].update(batch.kept_out[modality])
        finally:
            model.train()
        everywhere: dict[Modality, Counter[str]] = {modality: Counter() for modality in TRAINED}
        for line in gather_lines([json.dumps(kept_out)], self.device):
            for modality, videos in json.loads(line).items():
                everywhere[modality].update(videos)
        num_clips = len(self.source.places)
        return WholeSet(
            {m: torch.cat(parts)[:num_clips] for m, parts in whole.items() if parts},
            {m: dict(sorted(videos.items())) for m, videos in everywhere.items() if videos},
        )

    @torch.no_grad()
    def _features(
        self, model: Xdc, batch: ClipBatch | None, modality: Modality
    ) -> Float[Tensor, "clips out_dim"]:
        """Of one chunk, filled up with NaN; nothing else where this rank has none left."""
        filled = torch.full((CLIPS_AT_ONCE, model.dims.out), torch.nan)
        if batch is None:
            return filled
        batch = batch.to(self.device)
        is_half = self.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half):
            features = model.features(batch, modality).float()
        has = batch.has[modality][:, None]
        filled[: len(batch)] = torch.where(has, features, torch.nan).cpu()
        return filled
