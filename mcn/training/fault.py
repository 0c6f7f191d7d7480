"""What was not finite in a step, where it came first: looked for only after a step went wrong.

Whether a step went wrong is one number for the loss and all gradients together. The search goes
the way of the data: weights, features, embeddings, reconstruction, terms, gradients.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcn.data.batches import ClipBatch
from mcn.modality import MODALITIES, Modality
from mcn.training.distributed import gather_lines

VIDEOS_SHOWN = 10

What = Literal["unread", "weights", "features", "embeddings", "reconstruction", "term", "gradient"]


class Part(NamedTuple):
    """What a model computes of single clips, before it comes to the loss."""

    what: Literal["embeddings", "reconstruction"]
    modality: Modality
    rows: Float[Tensor, "clips ..."]


@dataclass(frozen=True)
class Fault:
    """The first thing in a step that was not finite or could not be read, over all ranks."""

    what: What
    name: str
    """Of the term or of the parameter; empty where the modality says all."""
    modality: str
    """Modalities of a term have a hyphen between them; empty where it is not told."""
    video_ids: list[str]
    """Videos in whose clips it is, sorted; all of the batch where it cannot be told apart."""

    def __str__(self) -> str:
        subject = {
            "weights": f"weights {self.name}",
            "term": f"term {self.name}",
            "gradient": f"gradient of {self.name} in {self.modality or 'all'}",
        }.get(self.what, f"{self.what} of {self.modality}")
        shown = ", ".join(self.video_ids[:VIDEOS_SHOWN])
        num_more = len(self.video_ids) - VIDEOS_SHOWN
        more = f" and {num_more} more" if num_more > 0 else ""
        if self.what == "unread":
            return f"{self.modality} could not be read, of videos {shown}{more}"
        return f"{subject} not finite, in videos {shown}{more}"


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Float[Tensor, ""]:
    """Length of the gradient over all parameters; not finite where any part of it is not.

    Also not where its square overflows: Adam's second moment would, and never recover.
    """
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm: Tensor = torch.stack(torch._foreach_norm(grads)).norm()
    return norm


def find_fault(
    model: nn.Module,
    batch: ClipBatch,
    parts: Sequence[Part],
    terms: Mapping[str, Tensor],
    device: torch.device,
) -> Fault:
    """The first fault of a step, the same on every rank; all ranks have to ask.

    Args:
        model: As it was in the step, with the gradients that the step gave.
        batch: This rank's clips.
        parts: What the model makes of them, with gradients.
        terms: Terms of the loss over all ranks, weighted, computed from `parts`.
        device: Of this rank.
    """
    searches: list[Callable[[], list[Fault]]] = [
        partial(_in_weights, model, batch),
        partial(_in_features, batch),
        partial(_in_parts, "embeddings", batch, parts),
        partial(_in_parts, "reconstruction", batch, parts),
        partial(_in_terms, batch, terms),
        partial(_in_gradients_of_terms, batch, parts, terms),
        partial(_in_gradients_of_weights, model, batch),
    ]
    for search in searches:
        # Nobody goes on to the next before all have this: some searches talk to each other.
        found = _of_all_ranks(search(), device)
        if found:
            return _first(found, names=[*model.state_dict(), *terms, "loss"])
    videos = gather_lines(_all_videos(batch), device)
    return Fault("gradient", "the loss", "", sorted(set(videos)))


def find_kept_out(batch: ClipBatch, device: torch.device) -> Fault:
    """The fault of a batch of which nothing is left; all ranks have to ask."""
    local: list[Fault] = []
    for modality, videos in batch.kept_out.items():
        by_cause: dict[What, set[str]] = {
            "features": videos.keys() - batch.unread.keys(),
            "unread": videos.keys() & batch.unread.keys(),
        }
        local += [Fault(what, "", modality, sorted(v)) for what, v in by_cause.items() if v]
    found = _of_all_ranks(local, device)
    worst = "features" if any(fault.what == "features" for fault in found) else "unread"
    return _first([fault for fault in found if fault.what == worst], names=[])


def _of_all_ranks(faults: list[Fault], device: torch.device) -> list[Fault]:
    lines = gather_lines([json.dumps(asdict(fault)) for fault in faults], device)
    return [Fault(**json.loads(line)) for line in lines]


def _in_weights(model: nn.Module, batch: ClipBatch) -> list[Fault]:
    return [
        Fault("weights", name, _modality_of(name), _all_videos(batch))
        for name, value in model.state_dict().items()
        if not value.isfinite().all()
    ]


def _in_features(batch: ClipBatch) -> list[Fault]:
    features: dict[Modality, Tensor] = {"video": batch.video, "audio": batch.audio}
    return _in_rows("features", "", features, batch)


def _in_parts(what: What, batch: ClipBatch, parts: Sequence[Part]) -> list[Fault]:
    return [
        fault
        for part in parts
        if part.what == what
        for fault in _in_rows(what, "", {part.modality: part.rows}, batch)
    ]


def _in_terms(batch: ClipBatch, terms: Mapping[str, Tensor]) -> list[Fault]:
    with_their_sum = {**terms, "loss": torch.stack([*terms.values()]).sum()}
    return [
        Fault("term", name, name.split("/")[-1], _all_videos(batch))
        for name, term in with_their_sum.items()
        if not term.isfinite()
    ]


def _in_gradients_of_terms(
    batch: ClipBatch, parts: Sequence[Part], terms: Mapping[str, Tensor]
) -> list[Fault]:
    """Gradients that single terms have in what is computed of single clips."""
    learning = [part for part in parts if part.rows.requires_grad]
    faults: list[Fault] = []
    for name, term in terms.items():
        gradients = torch.autograd.grad(
            term, [part.rows for part in learning], retain_graph=True, allow_unused=True
        )
        for part, gradient in zip(learning, gradients, strict=True):
            if gradient is not None:
                norms = gradient[:, None].flatten(1).norm(dim=1)
                faults += _in_rows("gradient", name, {part.modality: norms}, batch)
    return faults


def _in_gradients_of_weights(model: nn.Module, batch: ClipBatch) -> list[Fault]:
    return [
        Fault("gradient", name, _modality_of(name), _all_videos(batch))
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and not parameter.grad.norm().isfinite()
    ]


def _in_rows(
    what: What, name: str, rows: Mapping[Modality, Tensor], batch: ClipBatch
) -> list[Fault]:
    faults = []
    for modality, values in rows.items():
        is_finite: Bool[Tensor, " clips"] = values[:, None].isfinite().flatten(1).all(dim=1)
        videos = {batch.video_ids[row] for row in (~is_finite).nonzero().flatten().tolist()}
        if videos:
            faults.append(Fault(what, name, modality, sorted(videos)))
    return faults


def _all_videos(batch: ClipBatch) -> list[str]:
    return sorted(set(batch.video_ids))


def _modality_of(parameter: str) -> str:
    """`encoders.audio.gated.fc.weight` belongs to audio."""
    return next((part for part in parameter.split(".") if part in MODALITIES), "")


def _first(faults: list[Fault], names: list[str]) -> Fault:
    """The fault of the first name and modality, with the videos that all ranks found for it."""
    position = {name: place for place, name in enumerate([*names, *MODALITIES])}
    first = min(
        faults, key=lambda fault: (position.get(fault.name, -1), position.get(fault.modality, -1))
    )
    same = (
        fault for fault in faults if (fault.name, fault.modality) == (first.name, first.modality)
    )
    videos = {video_id for fault in same for video_id in fault.video_ids}
    return replace(first, video_ids=sorted(videos))
