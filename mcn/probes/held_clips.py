"""Clips that are read once and then held in memory, since every epoch asks for all of them."""

from collections.abc import Sequence
from functools import cached_property

from mcn.data.batches import ClipBatch
from mcn.data.clip_source import Places
from mcn.data.stored_clips import StoredClips
from mcn.modality import Modality


class HeldClips:
    """Of the features of a benchmark, which fit where those of a training set would not."""

    def __init__(self, stored: StoredClips) -> None:
        self.stored = stored

    @property
    def places(self) -> Places:
        """Of what is held."""
        return self.stored.places

    @property
    def dims(self) -> dict[Modality, int]:
        """Of what is held."""
        return self.stored.dims

    def read(self, numbers: Sequence[int], *, draw: int | None = None) -> ClipBatch:
        """Clips side by side."""
        return self._all.pick(numbers)

    @cached_property
    def _all(self) -> ClipBatch:
        return self.stored.read(range(len(self.places)))
