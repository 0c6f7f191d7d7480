"""Features of an extraction under way, in files beside the run, so that a kill costs little of it.

They belong to the checkpoint that the extraction began with: weights do not change meanwhile. Each
file says to which, and what is of another is removed.
"""

import shutil
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mcn.modality import Modality
from mcn.models.xdc import TRAINED
from mcn.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mcn.training.distributed import gather_lines, rank
from mcn.training.kept_out import KeptOut

SECONDS_BETWEEN_FILES = 60.0
"""The most work that a kill can cost; a short extraction leaves no file at all."""

Identity = dict[str, int | str]
"""What features are of, in plain values."""


@dataclass(frozen=True)
class ChunkFeatures:
    """What became of the clips of one chunk."""

    features: dict[Modality, Float[Tensor, "clips out_dim"]]
    kept_out: KeptOut


class KeptFeatures:
    """Chunks that are finished, of one round; each rank writes files of its own."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        """Takes what is the same for all features that may be put together."""
        self.folder = folder
        self.identity = identity
        self._held: dict[int, ChunkFeatures] = {}
        self._last_file = time.monotonic()

    def load(self, chunks: Collection[int]) -> dict[int, ChunkFeatures]:
        """Those of these chunks that any rank has finished before."""
        known: dict[int, ChunkFeatures] = {}

        def wanted(meta: Mapping[str, Any]) -> list[int]:
            is_ours = meta.get("of") == self.identity
            return [k for k in map(int, meta["kept_out"]) if k in chunks] if is_ours else []

        def names(meta: Mapping[str, Any]) -> list[str]:
            return [f"{chunk}.{modality}" for chunk in wanted(meta) for modality in TRAINED]

        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                saved = load_checkpoint(path, names)
            except FileNotFoundError:  # removed by the first rank
                continue
            except ValueError as error:
                self._remove(path, f"{error}; what it held is computed again")
                continue
            if saved.meta.get("of") != self.identity:
                self._remove(path, f"{path} has features of another state of the run")
            for chunk in wanted(saved.meta):
                features = {m: saved.tensors[f"{chunk}.{m}"] for m in TRAINED}
                known[chunk] = ChunkFeatures(features, saved.meta["kept_out"][str(chunk)])
        return known

    def _remove(self, path: Path, why: str) -> None:
        if rank() == 0:
            print(f"{why}; removed", file=sys.stderr)
            path.unlink(missing_ok=True)

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
        save_checkpoint(path, Checkpoint(tensors, {"of": self.identity, "kept_out": kept_out}))
        self._held = {}
        self._last_file = time.monotonic()

    def clear(self) -> None:
        """There is no need of them any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def identity_of(model: nn.Module, device: torch.device, **state: int) -> Identity:
    """This state and the model, as it is on rank 0, which saves it; every rank has to ask."""
    return {**state, "model": gather_lines([_digest_of(model)], device)[0]}


def _digest_of(model: nn.Module) -> str:
    """SHA-256 of a model's tensors and their names, in hexadecimal digits."""
    digest = sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
