"""Published checkpoints of the field, read into the models that they belong to.

A checkpoint is a state dict: tensors by name. Which model it belongs to, and of which sizes, is
read from the names and the shapes. Only tensors are read: a file that would run code is refused.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mcn.data.restricted_pickle import STUMBLES
from mcn.models.davenet import Davenet, ResDavenet
from mcn.models.published import AvlNet, AvlNetTextTri, HowTo100M, PublishedMcn

PREFIX = "module."
"""What DataParallel puts in front of every name."""

NAMED_PER_ERROR = 8

PUBLISHED_EMBEDDING_DIMS = (4096, 6144)

PUBLISHED_DIMS = {"video_dim": (4096, 2048), "word_dim": (300,)}
"""Both kinds of video features or one, and word2vec; the first is named where none is there."""

LEAST_SHARED_NAMES = 0.5
"""Names that a file shares with a model, of all that either has, for it to be called nearly its."""


@dataclass(frozen=True)
class Architecture:
    """A published model, and the sizes in which its checkpoints may differ."""

    build: Callable[..., nn.Module]
    dims: tuple[str, ...] = ()

    def blueprint(self, dims: Mapping[str, int]) -> nn.Module:
        """The model of these sizes, without memory for its weights."""
        with torch.device("meta"):
            return self.build(**dims)


ARCHITECTURES: dict[str, Architecture] = {
    "MCN": Architecture(
        PublishedMcn, ("video_dim", "word_dim", "embedding_dim", "reconstruction_dim")
    ),
    "AVLnet-Text-Tri": Architecture(AvlNetTextTri, ("video_dim", "word_dim", "embedding_dim")),
    "AVLnet": Architecture(AvlNet, ("video_dim", "embedding_dim")),
    "HowTo100M": Architecture(
        HowTo100M, ("video_dim", "word_dim", "sentence_dim", "embedding_dim")
    ),
    "ResDAVEnet": Architecture(ResDavenet),
    "DAVEnet": Architecture(Davenet),
}


def load_published(path: Path | str) -> nn.Module:
    """The model that a published checkpoint belongs to, with its weights, in evaluation mode.

    It may be one of MCN, AVLnet, AVLnet-Text-Tri, HowTo100M, and the DAVEnets of 2018 and 2020,
    with or without `module.` before every name. Weights are on the CPU, in float32.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no state dict, belongs to none of these models, or lacks an entry,
            has one too many or one of another shape; names the file and the entries.
    """
    path = Path(path)
    state = read_state(path)
    # Sizes that nothing else has show where in a model's shapes each of them stands.
    blueprints = {
        name: architecture.blueprint(_markers(architecture))
        for name, architecture in ARCHITECTURES.items()
    }
    name = min(
        blueprints, key=lambda name: len(state.keys() ^ blueprints[name].state_dict().keys())
    )
    architecture, marked = ARCHITECTURES[name], blueprints[name].state_dict()
    _check_names(path, name, expected=list(marked), found=list(state))
    model = architecture.blueprint(_read_dims(state, marked, _markers(architecture)))
    _check_shapes(path, name, expected=model.state_dict(), found=state)
    model.to_empty(device="cpu").load_state_dict(state)
    return model.eval()


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, without the prefix of DataParallel; nothing in it is run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything else.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: it was to be a published checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (*STUMBLES, RuntimeError) as error:
        raise ValueError(
            f"{path} is not read: it is no file of torch, is damaged, or holds more than tensors "
            f"and could run code ({type(error).__name__})"
        ) from error
    is_state = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )
    if not is_state or not state:
        raise ValueError(f"{path} is no state dict, tensors by name: it holds {_summary(state)}")
    if all(name.startswith(PREFIX) for name in state):
        return {name.removeprefix(PREFIX): value for name, value in state.items()}
    return dict(state)


def _markers(architecture: Architecture) -> dict[str, int]:
    return {dim: 1_000_003 + number for number, dim in enumerate(architecture.dims)}


def _read_dims(
    state: Mapping[str, Tensor], marked: Mapping[str, Tensor], markers: Mapping[str, int]
) -> dict[str, int]:
    """The size that most entries have where the marker of that size stands.

    By majority, so that a misshapen entry is found against the others, whichever it is. Where only
    one has a size there is no other: beside embeddings of a published size it has to be published.
    """
    votes = {marker: Counter[int]() for marker in markers.values()}
    for name, value in marked.items():
        if state[name].ndim == value.ndim:
            for marker, size in zip(value.shape, state[name].shape, strict=True):
                if marker in votes:
                    votes[marker][size] += 1
    dims = {
        dim: votes[marker].most_common(1)[0][0] if votes[marker] else 1
        for dim, marker in markers.items()
    }
    if dims.get("embedding_dim") in PUBLISHED_EMBEDDING_DIMS:
        for dim in PUBLISHED_DIMS.keys() & dims.keys():
            if votes[markers[dim]].total() <= 1 and dims[dim] not in PUBLISHED_DIMS[dim]:
                dims[dim] = PUBLISHED_DIMS[dim][0]
    return dims


def _check_names(path: Path, name: str, *, expected: list[str], found: list[str]) -> None:
    missing = [key for key in expected if key not in found]
    extra = [key for key in found if key not in expected]
    num_shared = len(found) - len(extra)
    if num_shared < LEAST_SHARED_NAMES * (len(expected) + len(extra)):
        raise ValueError(
            f"{path} belongs to none of {', '.join(ARCHITECTURES)}: it has {_listed(found)}"
        )
    if missing or extra:
        parts = [
            f"{verb} {_listed(keys)}" for verb, keys in (("lacks", missing), ("has", extra)) if keys
        ]
        raise ValueError(f"{path} is nearly a checkpoint of {name}, but {' and '.join(parts)}")


def _check_shapes(
    path: Path, name: str, *, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    misshapen = [
        f"{key} is {tuple(found[key].shape)} and not {tuple(value.shape)}"
        for key, value in expected.items()
        if found[key].shape != value.shape
    ]
    if misshapen:
        raise ValueError(
            f"{path} is nearly a checkpoint of {name}, but {_listed(misshapen)}; the sizes are "
            "those that most entries agree on, or of what one entry alone has the published ones"
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED_PER_ERROR])
    more = len(names) - NAMED_PER_ERROR
    return f"{shown} and {more} more" if more > 0 else shown


def _summary(state: object) -> str:
    if isinstance(state, dict):
        return f"a dict of {_listed([str(name) for name in state])}" if state else "an empty dict"
    return f"a {type(state).__name__}"
