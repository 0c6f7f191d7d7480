"""The pseudo-labels of a round: how they are made, and how a checkpoint keeps them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from mcn.clustering.engines import ENGINES
from mcn.models.xdc import Xdc
from mcn.training.checkpoint import Checkpoint
from mcn.training.distributed import gather_lines, tell_from_first
from mcn.training.kept_out import KeptOut
from mcn.training.xdc.clustering import Labels, agreement, cluster_all, label_sets
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.extraction import Extraction
from mcn.training.xdc.shared_search import shared_search


@dataclass(frozen=True, kw_only=True)
class PseudoLabels:
    """What all clips are told apart by in one round."""

    round_number: int
    """From 0."""
    labels: Labels
    health: Mapping[str, float]
    """Of the clusterings, by name; on rank 0."""
    kept_out: KeptOut
    """Clips whose features were not finite, which are in no cluster."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it."""
        return {f"labels.{'-'.join(s)}": of.to(torch.int32) for s, of in self.labels.items()}

    def meta(self) -> dict[str, Any]:
        """What a checkpoint says of it."""
        return {
            "round": self.round_number,
            "health": dict(self.health),
            "kept_out": self.kept_out,
        }

    @classmethod
    def of(cls, saved: Checkpoint, config: XdcConfig) -> "PseudoLabels | None":
        """Those of a checkpoint; None where it is from before the first clustering."""
        if "round" not in saved.meta:
            return None
        held = saved.part("labels")
        return cls(
            round_number=saved.meta["round"],
            labels={s: held["-".join(s)].long() for s in label_sets(config)},
            health=saved.meta["health"],
            kept_out=saved.meta["kept_out"],
        )


def check_restored(
    saved: Checkpoint | None, num_clips: int, path: Path, device: torch.device
) -> None:
    """Returns if all ranks carry on from one state, whose labels are of this set of clips.

    Raises:
        ValueError: They do not, on every rank.
    """
    held = {} if saved is None else saved.part("labels")
    meta = {} if saved is None else saved.meta
    state = {
        "step": meta.get("step"),
        "round": meta.get("round"),
        "labels": sorted({len(labels) for labels in held.values()}),
    }
    states = gather_lines([json.dumps(state)], device)
    if len(set(states)) > 1:
        raise ValueError(
            f"not all processes found the same {path}, but {' and '.join(sorted(set(states)))}: "
            "all nodes need one file system; start again when they see the same"
        )
    if state["labels"] not in ([], [num_clips]):
        raise ValueError(
            f"{path} has labels of {state['labels']} clips, and there are {num_clips}: "
            "it is of another set of clips; give this run its own --run NAME"
        )


def new_pseudo_labels(
    config: XdcConfig,
    model: Xdc,
    extraction: Extraction,
    round_number: int,
    *,
    last: PseudoLabels | None,
    categories: Int64[Tensor, " clips"],
    go_on: Callable[[int, int], bool],
    show: Callable[[str], None],
) -> PseudoLabels | None:
    """Those by the encoders as they are, the same on every rank; None where not to go on.

    Raises:
        ValueError: There are too few clips, or too many that could not be read; on every rank.

    Args:
        config: Of the run.
        model: Whose features are clustered, by all ranks together.
        extraction: How they are computed.
        round_number: From 0.
        last: Of the round before.
        categories: Of the clips, -1 where there is none.
        go_on: As `Extraction` has it.
        show: Is told what takes long from now on.
    """
    whole = extraction(model, go_on=go_on)
    if whole is None:
        return None
    sets = label_sets(config)
    told = torch.empty(len(sets), len(categories), dtype=torch.int64)
    health: dict[str, float] = {}
    show("clusters")
    engine, device = ENGINES[config.kmeans_engine], extraction.device
    with shared_search(engine, device, extraction.group) as shared:
        if shared is not None:
            labels, health = cluster_all(config, whole.features, round_number, device, shared)
            health |= agreement(labels, {} if last is None else last.labels, categories)
            told = torch.stack([labels[s] for s in sets])
    tell_from_first(told, extraction.group)
    return PseudoLabels(
        round_number=round_number,
        labels=dict(zip(sets, told, strict=True)),
        health=dict(sorted(health.items())),  # as a checkpoint gives it back
        kept_out=whole.kept_out,
    )
