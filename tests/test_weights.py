"""Weights come from where they were asked for, whole and fitting, or there is an error."""

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from extractors.weights import Weights, fit_batch_norms, load_weights, resolve_weights

URL = "https://example.org/models/tiny-{}.pth"


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))


def inputs(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 5 + 3 * torch.randn(8, 3, 12, 12, generator=generator)


def fit(network: nn.Module) -> None:
    fit_batch_norms(network, inputs().split(4))


def resolve(
    spec: str,
    folder: Path,
    *,
    fit: Callable[[nn.Module], None] = fit,
    published: dict[str, str] | None = None,
) -> Weights:
    return resolve_weights(
        spec, model="tiny", folder=folder, build=tiny, fit=fit, published=published or {}
    )


def test_random_weights_are_drawn_once_and_kept(tmp_path: Path) -> None:
    first = resolve("random:3", tmp_path / "weights")

    def must_not_fit(network: nn.Module) -> None:
        pytest.fail("weights that are there already were fitted again")

    again = resolve("random:3", tmp_path / "weights", fit=must_not_fit)
    assert again == first
    assert first.path == tmp_path / "weights" / "tiny-random3.safetensors"
    assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.description == "random:3"
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_a_seed_decides_random_weights_and_nothing_else_does(tmp_path: Path) -> None:
    first = resolve("random:0", tmp_path / "a")
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    assert resolve("random:0", tmp_path / "b").sha256 == first.sha256
    assert resolve("random:1", tmp_path / "b").sha256 != first.sha256
    assert torch.equal(torch.random.get_rng_state(), state)


def test_tasks_that_draw_at_once_all_get_the_weights_of_the_first(tmp_path: Path) -> None:
    def fit_to(seed: int) -> Callable[[nn.Module], None]:
        return lambda network: fit_batch_norms(network, [inputs(seed)])

    with ThreadPoolExecutor(1) as other_task:

        def fit_slowly(network: nn.Module) -> None:
            other_task.submit(resolve, "random:0", tmp_path, fit=fit_to(1)).result()
            fit_to(2)(network)

        mine = resolve("random:0", tmp_path, fit=fit_slowly)
    assert mine == resolve("random:0", tmp_path)
    assert mine.sha256 == resolve("random:0", tmp_path / "alone", fit=fit_to(1)).sha256


def test_fitted_batch_norms_standardise_what_they_were_fitted_to() -> None:
    norms = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    fit_batch_norms(norms, [inputs()])
    with torch.no_grad():
        outputs = norms(inputs())
    torch.testing.assert_close(outputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(outputs.std((0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)
    assert not any(module.training for module in norms.modules())


def test_published_weights_are_found_where_they_were_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    url = URL.format(digest[:8])
    name = url.rpartition("/")[2]
    with pytest.raises(FileNotFoundError, match=re.escape(f"{url} and put it at {tmp_path}")):
        resolve("imagenet", tmp_path, published={"imagenet": url})
    for folder in (tmp_path / "hub" / "checkpoints", tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        found = resolve("imagenet", tmp_path, published={"imagenet": url})
        assert found == Weights(folder / name, digest, "imagenet")
    (tmp_path / name).write_bytes(b"weight")
    with pytest.raises(ValueError, match="is damaged"):
        resolve("imagenet", tmp_path, published={"imagenet": url})


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_gives_a_network_its_weights(tmp_path: Path, suffix: str, prefix: str) -> None:
    source, target = tiny(), tiny()
    path = tmp_path / f"weights{suffix}"
    save(path, {prefix + name: value for name, value in source.state_dict().items()})
    weights = resolve(str(path), tmp_path)
    assert weights.description == "file"
    load_weights(target, weights.path)
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)


def test_a_file_from_before_batches_were_counted_fits(tmp_path: Path) -> None:
    state = tiny().state_dict()
    del state["1.num_batches_tracked"]
    save(tmp_path / "old.pth", dict(state))
    load_weights(tiny(), tmp_path / "old.pth")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"0.bias": None}, "0.bias is missing"),
        ({"9.weight": torch.zeros(2)}, "9.weight is unknown"),
        ({"0.weight": torch.zeros(4, 3, 1, 1)}, r"0.weight is \(4, 3, 1, 1\), not \(4, 3, 3, 3\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, change: dict[str, Tensor | None], problem: str
) -> None:
    state = {**tiny().state_dict(), **change}
    path = tmp_path / "weights.pth"
    save(path, {name: value for name, value in state.items() if value is not None})
    network = tiny()
    before = network.state_dict()["1.weight"].clone()
    with pytest.raises(ValueError, match=rf"weights\.pth does not fit Sequential: .*{problem}"):
        load_weights(network, path)
    assert torch.equal(network.state_dict()["1.weight"], before)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_damaged_file_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    save(path, dict(tiny().state_dict()))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_weights(tiny(), path)


def test_a_file_that_would_run_code_or_holds_more_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"network": tiny()}, tmp_path / "pickled.pth")
    torch.save({"epoch": 3, "state_dict": tiny().state_dict()}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_weights(tiny(), tmp_path / "pickled.pth")
    with pytest.raises(ValueError, match="holds epoch, state_dict, which are no tensors"):
        load_weights(tiny(), tmp_path / "checkpoint.pth")


@pytest.mark.parametrize("spec", ["random:", "random:x", "random:-1"])
def test_a_seed_is_a_number(tmp_path: Path, spec: str) -> None:
    with pytest.raises(ValueError, match="the seed is a number"):
        resolve(spec, tmp_path)


def test_a_word_that_means_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="neither imagenet, random:SEED nor a file"):
        resolve("imagnet", tmp_path, published={"imagenet": URL})


def save(path: Path, state: dict[str, Any]) -> None:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
