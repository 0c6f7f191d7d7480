"""The whole state of a run in one safetensors file: atomic, free of pickle, equal byte for byte
where the state is equal.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and what they mean in plain JSON values."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below a prefix, named without it."""
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


def save_checkpoint(
    path: Path,
    checkpoint: Checkpoint,
    *,
    aside: Path | None = None,
    before_it_counts: Callable[[], None] = lambda: None,
) -> None:
    """Write aside, force to disk, rename: at the path there is always a whole checkpoint.

    Args:
        path: Of the file.
        checkpoint: What it is to hold.
        aside: Where it is written; beside the path if not given.
        before_it_counts: Called when it is on disk, to raise where it must not appear.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside or path.with_suffix(".tmp")
    tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()}
    # One key only: safetensors writes several in no fixed order.
    save_file(tensors, aside, metadata={"mcn": json.dumps(checkpoint.meta, sort_keys=True)})
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    before_it_counts()
    aside.replace(path)


def load_checkpoint(
    path: Path, names: Callable[[Mapping[str, Any]], Iterable[str]] | None = None
) -> Checkpoint:
    """The checkpoint at `path`, on the CPU.

    Args:
        path: Of the file.
        names: Of the tensors to read, by what the file says of them; all by default.

    Raises:
        ValueError: The file is not a checkpoint of this project, or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["mcn"])
            wanted = file.keys() if names is None else names(meta)
            tensors = {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a checkpoint of mcn, or is damaged: {error}") from error
    return Checkpoint(tensors, meta)


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: dict[int, str]) -> dict[str, Tensor]:
    """Adam's state by the names of its parameters, which outlive their numbering."""
    return {
        f"{names[number]}.{key}": value
        for number, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer, names: dict[int, str], tensors: dict[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` gave."""
    numbers = {name: number for number, name in names.items()}
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, value in tensors.items():
        name, _, key = full_name.rpartition(".")
        state.setdefault(numbers[name], {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
