import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mcn.models.davenet import Davenet, ResDavenet
from mcn.models.pretrained import load_published, read_state
from mcn.models.published import AvlNet, AvlNetTextTri, HowTo100M, PublishedMcn
from tests.test_davenet import published_davenet, published_resdavenet
from tests.test_published import (
    Shapes,
    published_avlnet,
    published_avlnet_text_tri,
    published_howto100m,
    published_mcn,
)

PUBLISHED: dict[str, tuple[type[nn.Module], Shapes]] = {
    "mcn": (PublishedMcn, published_mcn(video=8, words=5, dim=16, reconstruction=4)),
    "avlnet-text-tri": (AvlNetTextTri, published_avlnet_text_tri(video=8, words=5, dim=16)),
    "avlnet": (AvlNet, published_avlnet(video=8, dim=16)),
    "howto100m": (HowTo100M, published_howto100m(video=8, words=5, sentence=6, dim=16)),
    "resdavenet": (ResDavenet, published_resdavenet()),
    "davenet": (Davenet, published_davenet()),
}


def checkpoint(shapes: Shapes) -> dict[str, Tensor]:
    """An entry of each name and shape, filled with its number; one number a file, not a matrix."""
    return {
        name: torch.tensor(
            number, dtype=torch.int64 if name.endswith("num_batches_tracked") else torch.float32
        ).expand(shape)
        for number, (name, shape) in enumerate(shapes.items())
    }


def saved(state: object, folder: Path) -> Path:
    path = folder / "model.pth"
    torch.save(state, path)
    return path


def howto100m() -> dict[str, Tensor]:
    return checkpoint(PUBLISHED["howto100m"][1])


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind, shapes", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_checkpoint_is_told_by_its_names(
    tmp_path: Path, kind: type[nn.Module], shapes: Shapes, prefix: str
) -> None:
    state = checkpoint(shapes)
    path = saved({prefix + name: value for name, value in state.items()}, tmp_path)
    model = load_published(path)
    assert type(model) is kind
    assert not model.training
    loaded = model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_weights_are_those_of_the_file_and_learn(tmp_path: Path) -> None:
    original = HowTo100M(video_dim=7, word_dim=5, sentence_dim=6, embedding_dim=4).eval()
    model = load_published(str(saved(original.state_dict(), tmp_path)))
    video, words = torch.rand(3, 7), torch.rand(2, 4, 5)
    assert torch.equal(model(video, words), original(video, words))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in howto100m().items()
    }
    model = load_published(saved(state, tmp_path))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", PUBLISHED["howto100m"][1])
def test_a_missing_entry_is_named(tmp_path: Path, name: str) -> None:
    state = howto100m()
    del state[name]
    with pytest.raises(ValueError, match=rf"model\.pth is nearly .* HowTo100M, but lacks {name}$"):
        load_published(saved(state, tmp_path))


def test_an_extra_entry_is_named(tmp_path: Path) -> None:
    state = howto100m() | {"classification.weight": torch.zeros(2, 2)}
    with pytest.raises(ValueError, match=r"HowTo100M, but has classification\.weight$"):
        load_published(saved(state, tmp_path))


def test_an_entry_under_another_name_is_both(tmp_path: Path) -> None:
    state = howto100m()
    state["GU_sound.fc.bias"] = state.pop("GU_video.fc.bias")
    with pytest.raises(ValueError, match=r"lacks GU_video\.fc\.bias and has GU_sound\.fc\.bias$"):
        load_published(saved(state, tmp_path))


def test_a_prefix_before_some_names_only_is_no_prefix(tmp_path: Path) -> None:
    state = howto100m()
    state["module.GU_video.fc.bias"] = state.pop("GU_video.fc.bias")
    with pytest.raises(ValueError, match=r"has module\.GU_video\.fc\.bias$"):
        load_published(saved(state, tmp_path))


MISSHAPEN = [
    ("GU_video.fc.weight", (8, 16), (16, 16)),  # it alone has the size of the video features
    ("GU_video.fc.weight", (15, 8), (16, 8)),
    ("GU_text.cg.fc.weight", (16, 17), (16, 16)),
    ("GU_text.fc.bias", (16, 1), (16,)),
    ("text_pooling.fc.bias", (7,), (6,)),
    ("GU_text.cg.batch_norm.num_batches_tracked", (1,), ()),
]


@pytest.mark.parametrize("name, shape, right", MISSHAPEN)
def test_a_misshapen_entry_is_named_with_the_shape_it_should_have(
    tmp_path: Path, name: str, shape: tuple[int, ...], right: tuple[int, ...]
) -> None:
    state = howto100m() | {name: torch.zeros(shape)}
    with pytest.raises(ValueError) as error:
        load_published(saved(state, tmp_path))
    assert f"HowTo100M, but {name} is {shape} and not {right}" in str(error.value)


@pytest.mark.parametrize(
    "name, change",
    [
        ("recon_t.2.bias", "lacks"),
        ("DAVEnet.batchnorm1.running_var", "lacks"),
        ("projection_head.0.weight", "has"),
    ],
)
def test_mcn_with_one_entry_too_few_or_too_many_is_still_called_mcn(
    tmp_path: Path, name: str, change: str
) -> None:
    state = checkpoint(PUBLISHED["mcn"][1])
    if change == "lacks":
        del state[name]
    else:
        state[name] = torch.zeros(2)
    with pytest.raises(ValueError, match=rf"of MCN, but {change} {name}$"):
        load_published(saved(state, tmp_path))


def test_a_misshapen_part_of_mcn_is_named(tmp_path: Path) -> None:
    state = checkpoint(PUBLISHED["mcn"][1]) | {"DAVEnet.conv1.weight": torch.zeros(128, 1, 64, 1)}
    with pytest.raises(ValueError, match=r"DAVEnet\.conv1\.weight is \(128, 1, 64, 1\) and not"):
        load_published(saved(state, tmp_path))


@pytest.mark.parametrize(
    "content, message",
    [
        ({"fc.weight": torch.zeros(2, 2)}, "belongs to none of MCN, .*: it has fc.weight"),
        ({"epoch": 3, "state_dict": {}}, "holds a dict of epoch, state_dict"),
        ({}, "holds an empty dict"),
        ([torch.zeros(2)], "holds a list"),
    ],
)
def test_what_is_no_published_model_is_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"model\.pth .*{message}"):
        load_published(saved(content, tmp_path))


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.path,)


def test_a_file_that_would_run_code_does_not(tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = saved({"GU_video.fc.weight": RunsCode(made)}, tmp_path)
    with pytest.raises(ValueError, match="could run code"):
        load_published(path)
    assert not made.exists()


ALONE = [
    ("GU_video.fc.weight", published_avlnet(), (4096, 4097), (4096, 4096)),
    ("GU_video.fc.weight", published_avlnet(), (4096,), (4096, 4096)),
    ("GU_video.fc.weight", published_avlnet_text_tri(), (6144, 8192), (6144, 4096)),
    ("text_pooling_caption.fc.weight", published_avlnet_text_tri(), (6144, 600), (6144, 300)),
    ("text_pooling_caption.fc.weight", published_mcn(), (6144, 299), (6144, 300)),
    ("GU_video.fc.weight", published_mcn(), (6144, 2048), (6144, 4096)),
    ("GU_video.fc.weight", published_howto100m(), (6144, 2), (6144, 4096)),
    ("text_pooling.fc.weight", published_howto100m(dim=4096), (6144, 1), (6144, 300)),
]
"""Axes that stand in one entry alone, of models of published size."""


@pytest.mark.parametrize("name, shapes, shape, right", ALONE)
def test_a_misshapen_entry_is_named_though_no_other_tells_its_size(
    tmp_path: Path, name: str, shapes: Shapes, shape: tuple[int, ...], right: tuple[int, ...]
) -> None:
    state = checkpoint(shapes) | {name: torch.zeros(()).expand(shape)}
    with pytest.raises(ValueError) as error:
        load_published(saved(state, tmp_path))
    assert f", but {name} is {shape} and not {right}; the sizes" in str(error.value)


def test_features_of_one_kind_are_of_a_published_size_too(tmp_path: Path) -> None:
    shapes = published_howto100m(video=2048, sentence=8, dim=4096)
    assert type(load_published(saved(checkpoint(shapes), tmp_path))) is HowTo100M


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.pth"
    state = {"fc.bias": torch.arange(3.0), "fc.weight": torch.ones(2, 3, dtype=torch.half)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert read_state(path).keys() == state.keys()
    for num_bytes in reversed(range(path.stat().st_size)):
        os.truncate(path, num_bytes)
        with pytest.raises(ValueError, match=r"model\.pth is not read"):
            read_state(path)


@pytest.mark.parametrize("content", [b"junk", b"J12", b"<html>", b"PK\x03\x04" + 50 * b"0"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pth is not read"):
        load_published(path)


@pytest.mark.parametrize("num_bytes", [0, 10, 2000])
def test_a_damaged_file_is_refused(tmp_path: Path, num_bytes: int) -> None:
    path = saved(howto100m(), tmp_path)
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(ValueError, match=r"model\.pth is not read"):
        load_published(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.pth is missing"):
        load_published(tmp_path / "model.pth")
