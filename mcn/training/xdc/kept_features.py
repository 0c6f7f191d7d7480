"""Features of an extraction under way, in files beside the run, so that a kill costs little of it.

They belong to the checkpoint that the extraction began with: weights do not change meanwhile.
"""

import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mcn.modality import Modality
from mcn.models.xdc import TRAINED
from mcn.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mcn.training.distributed import rank

SECONDS_BETWEEN_FILES = 60.0
"""The most work that a kill can cost; a short extraction leaves no file at all."""

KeptOut = dict[Modality, dict[str, int]]
"""Videos with clips whose features were not finite, and how many clips."""


@dataclass(frozen=True)
class ChunkFeatures:
    """What became of the clips of one chunk."""

    features: dict[Modality, Float[Tensor, "clips out_dim"]]
    kept_out: KeptOut


class KeptFeatures:
    """Chunks that are finished, of one round; each rank writes files of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[int, ChunkFeatures] = {}
        self._last_file = time.monotonic()

    def load(self, chunks: Collection[int]) -> dict[int, ChunkFeatures]:
        """Those of these chunks that any rank has finished before."""
        known: dict[int, ChunkFeatures] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            saved = load_checkpoint(path)
            for chunk in map(int, saved.meta["kept_out"]):
                if chunk in chunks:
                    features = {m: saved.tensors[f"{chunk}.{m}"] for m in TRAINED}
                    known[chunk] = ChunkFeatures(features, saved.meta["kept_out"][str(chunk)])
        return known

    def add(self, chunk: int, done: ChunkFeatures) -> None:
        """One more chunk of this rank; now and then a file of all since the last one."""
        self._held[chunk] = done
        if time.monotonic() - self._last_file < SECONDS_BETWEEN_FILES:
            return
        tensors = {
            f"{chunk}.{modality}": rows
            for chunk, held in self._held.items()
            for modality, rows in held.features.items()
        }
        kept_out = {str(chunk): held.kept_out for chunk, held in self._held.items()}
        path = self.folder / f"{min(self._held):07d}-rank{rank()}.safetensors"
        save_checkpoint(path, Checkpoint(tensors, {"kept_out": kept_out}))
        self._held = {}
        self._last_file = time.monotonic()

    def clear(self) -> None:
        """There is no need of them any more."""
        shutil.rmtree(self.folder, ignore_errors=True)
