"""The weights of a network: published, drawn at random, or from a file; never guessed.

A network drawn at random is fitted once: its batch-norm statistics are set by real input, since
with untouched ones an untrained ResNet maps all frames to nearly one direction.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


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
        path = _find_published(spec, published[spec], model, folder)
        return Weights(path, file_sha256(path), spec)
    if spec.startswith("random:"):
        seed = spec.removeprefix("random:")
        if not seed.isdecimal():
            raise ValueError(f"weights {spec!r}: the seed is a number, as in random:0")
        path = folder / f"{model}-random{int(seed)}.safetensors"
        if not path.exists():
            _draw(path, int(seed), build, fit)
        return Weights(path, file_sha256(path), f"random:{int(seed)}")
    path = Path(spec)
    if not path.is_file():
        known = ", ".join([*published, "random:SEED"])
        raise FileNotFoundError(f"weights {spec!r} of {model}: neither {known} nor a file")
    return Weights(path, file_sha256(path), "file")


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the weights of a file into a network: .safetensors, or what torch saved, weights only.

    Raises:
        ValueError: A name is missing, too many, or of another shape; they are named.
    """
    if path.suffix == ".safetensors":
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    state = {name.removeprefix("module."): value for name, value in state.items()}
    wanted = network.state_dict()
    problems = [f"{name} is missing" for name in wanted.keys() - state.keys()]
    problems += [f"{name} is unknown" for name in state.keys() - wanted.keys()]
    problems += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted.keys() & state.keys()
        if state[name].shape != wanted[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        raise ValueError(f"{path} does not fit {type(network).__name__}: {shown}")
    network.load_state_dict(state)


def fit_batch_norms(network: nn.Module, batches: list[Tensor]) -> None:
    """Set every batch norm's statistics to the mean over these batches, layer by layer at once."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    network.train()
    with torch.inference_mode():
        for batch in batches:
            network(batch)
    network.eval()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _draw(
    path: Path, seed: int, build: Callable[[], nn.Module], fit: Callable[[nn.Module], None]
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    fit(network)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.tmp{os.getpid()}")
    save_file(network.state_dict(), aside)
    aside.replace(path)


def _find_published(spec: str, url: str, model: str, folder: Path) -> Path:
    name = url.rpartition("/")[2]
    for candidate in (folder / name, Path(torch.hub.get_dir()) / "checkpoints" / name):
        if candidate.is_file():
            # torchvision puts the first digits of the hash into the name.
            promised = name.rpartition("-")[2].partition(".")[0]
            if not file_sha256(candidate).startswith(promised):
                raise ValueError(f"{candidate} is damaged: its SHA-256 does not begin {promised}")
            return candidate
    raise FileNotFoundError(
        f"{spec} weights of {model}: download {url} and put it at {folder / name}, "
        "or name other weights"
    )
