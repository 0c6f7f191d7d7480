"""The weights of a network: published, drawn at random, or from a file; never guessed.

A network drawn at random is fitted once: its batch norms take their statistics from real input,
since with untouched ones an untrained ResNet maps all frames to nearly one direction. It is then
saved and hashed like any other weights, so that all tasks of an array use the same.
"""

import os
import pickle
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from extractors.publish import publish_first
from mcn.sha256 import file_sha256

SUFFIXES = (".safetensors", ".pth", ".pt")
KEYS_IN_ERRORS = 5


@dataclass(frozen=True)
class Weights:
    """A file of weights, by what it holds."""

    path: Path
    sha256: str
    description: str
    """`imagenet`, `random:0` or `file`."""


def resolve_weights(
    spec: str,
    *,
    model: str,
    folder: Path,
    build: Callable[[], nn.Module],
    fit: Callable[[nn.Module], None],
    published: Mapping[str, str],
) -> Weights:
    """The file that `spec` means; drawn and fitted first where it is random and not there yet.

    Args:
        spec: A name of published weights (`imagenet`), `random:SEED`, or a file.
        model: Name of the network.
        folder: Where weights are kept.
        build: Makes the network, drawing its weights from torch's random state.
        fit: Sets the batch-norm statistics of a network drawn at random.
        published: The address of the file of each name of published weights.

    Raises:
        FileNotFoundError: The weights cannot be had; says which file to put where.
        ValueError: `spec` means nothing, or a file is not what its name promises.
    """
    if spec in published:
        return _find_published(spec, published[spec], model, folder)
    if spec.startswith("random:"):
        seed = spec.removeprefix("random:")
        if not seed.isdecimal():
            raise ValueError(f"weights {spec!r}: the seed is a number, as in random:0")
        path = folder / f"{model}-random{int(seed)}.safetensors"
        if not path.exists():
            _draw(path, int(seed), build, fit)
        return Weights(path, file_sha256(path), f"random:{int(seed)}")
    path = Path(spec).expanduser()
    if not path.is_file():
        known = ", ".join([*published, "random:SEED"])
        raise FileNotFoundError(f"weights {spec!r} of {model}: neither {known} nor a file")
    return Weights(path, file_sha256(path), "file")


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the weights of a file into a network that they fit exactly.

    Raises:
        ValueError: The file holds anything but tensors, or a name is missing, unknown or of
            another shape; names them.
    """
    state = _read(path)
    if state and all(name.startswith("module.") for name in state):  # by DataParallel
        state = {name.removeprefix("module."): value for name, value in state.items()}
    wanted = network.state_dict()
    for name in wanted.keys() - state.keys():
        if name.endswith(".num_batches_tracked"):  # which files of 2018 and before lack
            state[name] = wanted[name]
    problems = [f"{name} is missing" for name in wanted if name not in state]
    problems += [f"{name} is unknown" for name in state if name not in wanted]
    problems += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    if problems:
        more = len(problems) - KEYS_IN_ERRORS
        shown = "; ".join(problems[:KEYS_IN_ERRORS]) + (f"; and {more} more" if more > 0 else "")
        raise ValueError(f"{path} does not fit {type(network).__name__}: {shown}")
    network.load_state_dict(state)


def fit_batch_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every batch norm's statistics to their mean over these batches, all layers at once.

    Nothing else of the network is in training: no dropout draws from the random state.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # a cumulative mean
            module.train()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    network.eval()


def _draw(
    path: Path, seed: int, build: Callable[[], nn.Module], fit: Callable[[nn.Module], None]
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    fit(network)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    save_file(network.state_dict(), aside)
    publish_first(aside, path)  # of tasks that draw at once, all take the file of the first


def _find_published(spec: str, url: str, model: str, folder: Path) -> Weights:
    name = url.rpartition("/")[2]
    for path in (folder / name, Path(torch.hub.get_dir()) / "checkpoints" / name):
        if path.is_file():
            sha256 = file_sha256(path)
            # torchvision puts the first digits of the hash into the name.
            promised = re.search(r"-([0-9a-f]{8,})\.", name)
            if promised and not sha256.startswith(promised[1]):
                raise ValueError(
                    f"{path} is damaged: its SHA-256 does not begin {promised[1]}; "
                    f"download {url} again"
                )
            return Weights(path, sha256, spec)
    raise FileNotFoundError(
        f"{spec} weights of {model}: download {url} and put it at {folder / name}, "
        "or name other weights"
    )


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; nothing in it is run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix not in SUFFIXES:
            raise ValueError(f"{path}: weights end in {', '.join(SUFFIXES)}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}, not tensors by name")
    strangers = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if strangers:
        raise ValueError(
            f"{path} holds {', '.join(strangers[:KEYS_IN_ERRORS])}, which are no tensors: "
            "save the network's state_dict alone"
        )
    return state
