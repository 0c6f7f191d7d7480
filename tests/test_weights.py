import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from extractors.weights import fit_batch_norms, load_weights, resolve_weights


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 2))


def fit(module: nn.Module) -> None:
    fit_batch_norms(module, [torch.rand(8, 3, 5, 5, generator=torch.Generator().manual_seed(1))])


def resolve(spec: str, folder: Path) -> tuple[Path, str, str]:
    found = resolve_weights(
        spec,
        model="tiny",
        folder=folder,
        build=network,
        fit=fit,
        published={"imagenet": "https://example.org/models/tiny-0a1b2c3d.pth"},
    )
    return found.path, found.sha256, found.description


def test_random_weights_are_decided_by_the_seed_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = resolve("random:3", tmp_path / "a")
    torch.manual_seed(2)
    second = resolve("random:3", tmp_path / "b")
    other = resolve("random:4", tmp_path / "b")
    assert (
        first[1:] == second[1:] == (hashlib.sha256(first[0].read_bytes()).hexdigest(), "random:3")
    )
    assert other[1] != first[1]


def test_random_weights_are_made_once_and_leave_the_random_state_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    path, _, _ = resolve("random:0", tmp_path)
    stamp = path.stat().st_mtime_ns
    assert resolve("random:0", tmp_path)[0].stat().st_mtime_ns == stamp
    assert torch.equal(torch.get_rng_state(), before)
    assert [file.name for file in tmp_path.iterdir()] == ["tiny-random0.safetensors"]


def test_fitted_batch_norms_have_the_statistics_of_their_input(tmp_path: Path) -> None:
    module = network()
    batches = [torch.rand(4, 3, 5, 5) for _ in range(3)]
    fit_batch_norms(module, batches)
    convolved = torch.cat([module[0](batch) for batch in batches])  # type: ignore[index]
    norm = module[1]  # type: ignore[index]
    torch.testing.assert_close(norm.running_mean, convolved.mean(dim=(0, 2, 3)))
    assert not module.training


def test_published_weights_that_are_not_there_are_an_error_with_the_way_out(
    tmp_path: Path,
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        resolve("imagenet", tmp_path)
    assert "https://example.org/models/tiny-0a1b2c3d.pth" in str(caught.value)
    assert str(tmp_path / "tiny-0a1b2c3d.pth") in str(caught.value)


def test_published_weights_are_held_against_the_hash_in_their_name(tmp_path: Path) -> None:
    (tmp_path / "tiny-0a1b2c3d.pth").write_bytes(b"damaged on the way")
    with pytest.raises(ValueError, match="damaged"):
        resolve("imagenet", tmp_path)


@pytest.mark.parametrize("spec", ["random:x", "random:", "random:-1"])
def test_a_seed_that_is_no_number_is_an_error(tmp_path: Path, spec: str) -> None:
    with pytest.raises(ValueError, match="the seed is a number"):
        resolve(spec, tmp_path)


def test_what_is_neither_a_name_nor_a_file_is_an_error_and_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="neither imagenet, random:SEED nor a file"):
        resolve("imagnet", tmp_path)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_is_loaded_with_or_without_the_prefix_of_data_parallel(
    tmp_path: Path, prefix: str, suffix: str
) -> None:
    saved, loaded = network(), network()
    state = {f"{prefix}{name}": value for name, value in saved.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    load_weights(loaded, path)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, saved.state_dict()[name])


def test_names_and_shapes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = network().state_dict()
    state["3.weight"] = torch.zeros(2, 35)
    state["4.bias"] = state.pop("3.bias")
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    with pytest.raises(ValueError) as caught:
        load_weights(network(), path)
    for problem in ("3.bias is missing", "4.bias is unknown", "3.weight is (2, 35), not (2, 36)"):
        assert problem in str(caught.value)
