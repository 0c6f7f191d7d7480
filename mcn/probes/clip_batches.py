"""Batches of numbered clips, read ahead where reading takes its time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.utils.data import Dataset

from mcn.data.batches import ClipBatch
from mcn.data.clip_source import ClipSource
from mcn.training.loader import read_ahead, workers_for

CLIPS_PER_BATCH = 64
"""Where nothing is learnt: as many raw clips as a GPU has room for."""


class ClipBatches(Dataset[ClipBatch]):
    """Some clips after others."""

    def __init__(
        self, source: ClipSource, parts: Sequence[Sequence[int]], draw: int | None = None
    ) -> None:
        """Takes the clips of each batch, and what decides what is left to chance in reading."""
        self.source = source
        self.parts = parts
        self.draw = draw

    def __getitem__(self, part: int) -> ClipBatch:
        return self.source.read(self.parts[part], draw=self.draw)

    @contextmanager
    def read(self, device: torch.device, *, is_held: bool) -> Iterator[Iterator[ClipBatch]]:
        """All, in order; by processes of their own unless they are held in memory already."""
        workers = 0 if is_held or not self.parts else workers_for(self[0].num_bytes)
        steps = range(len(self.parts))
        with read_ahead(self, steps, workers=workers, device=device) as batches:
            yield batches


def in_batches(numbers: Sequence[int]) -> list[Sequence[int]]:
    """So many at once as rows are made of where nothing is learnt."""
    firsts = range(0, len(numbers), CLIPS_PER_BATCH)
    return [numbers[first : first + CLIPS_PER_BATCH] for first in firsts]
