from collections.abc import Callable

import pytest
import torch
from torch import nn

from mcn.models.davenet import FRAMES_PER_ROW, Davenet, ResDavenet

NETWORKS = pytest.mark.parametrize("make", [Davenet, ResDavenet])
Make = type[Davenet] | type[ResDavenet]


def batch_norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{vector}": (channels,) for vector in vectors} | {
        f"{name}.num_batches_tracked": ()
    }


def published_davenet() -> dict[str, tuple[int, ...]]:
    kernels = [(128, 1, 40, 1), (256, 128, 1, 11), (512, 256, 1, 17), (512, 512, 1, 17)]
    kernels.append((1024, 512, 1, 17))
    keys = batch_norm("batchnorm1", 1)
    for index, kernel in enumerate(kernels, start=1):
        keys |= {f"conv{index}.weight": kernel, f"conv{index}.bias": kernel[:1]}
    return keys


def published_resdavenet() -> dict[str, tuple[int, ...]]:
    keys = batch_norm("batchnorm1", 1) | {"conv1.weight": (128, 1, 40, 1)} | batch_norm("bn1", 128)
    widths = [128, 128, 256, 512, 1024]
    for stage in range(1, 5):
        before, width = widths[stage - 1 : stage + 1]
        for block in range(2):
            name = f"layer{stage}.{block}"
            keys[f"{name}.conv1.weight"] = (width, width if block else before, 1, 9)
            keys[f"{name}.conv2.weight"] = (width, width, 1, 9)
            keys |= batch_norm(f"{name}.bn1", width) | batch_norm(f"{name}.bn2", width)
        keys[f"layer{stage}.0.downsample.0.weight"] = (width, before, 1, 1)
        keys |= batch_norm(f"layer{stage}.0.downsample.1", width)
    return keys


@pytest.mark.parametrize(
    "make, published", [(Davenet, published_davenet), (ResDavenet, published_resdavenet)]
)
def test_the_state_has_the_published_names_and_shapes(
    make: Make, published: Callable[[], dict[str, tuple[int, ...]]]
) -> None:
    state = make().state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == published()


def test_davenet_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in Davenet().parameters()) == 15_965_570


@NETWORKS
@torch.inference_mode()
def test_there_is_a_row_for_every_sixteen_frames_begun(make: Make) -> None:
    network = make().eval()
    for frames in (1, 2, 15, 16, 17, 31, 32, 33, 100, 201, 1000, 1024):
        rows = network(torch.zeros(1, 40, frames))
        assert rows.shape == (1, 1024, -(-frames // FRAMES_PER_ROW))


@NETWORKS
def test_a_row_depends_on_as_many_frames_as_the_network_says(make: Make) -> None:
    network = make().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.abs_()  # no negative weight: ReLU lets every path through
    if isinstance(network, Davenet):
        network.add_module("pool", nn.AvgPool2d((1, 3), stride=(1, 2), padding=(0, 1)))
    row = 27
    mel = torch.rand(1, 40, 2 * row * FRAMES_PER_ROW, requires_grad=True)
    network(mel)[0, :, row].sum().backward()
    assert mel.grad is not None
    reached = mel.grad[0].abs().amax(dim=0).nonzero()[:, 0].tolist()
    centre = FRAMES_PER_ROW * row
    assert reached[0] == centre - network.context_frames
    assert reached[-1] == centre + network.context_frames


@pytest.mark.parametrize("make, is_used", [(Davenet, True), (ResDavenet, False)])
@torch.inference_mode()
def test_only_the_davenet_of_eccv_normalises_its_input(make: Make, is_used: bool) -> None:
    network = make().eval()
    mel = torch.rand(1, 40, 16)
    before = network(mel)
    state = network.state_dict()
    network.load_state_dict(state | {"batchnorm1.running_mean": torch.ones(1)})
    assert torch.equal(network(mel), before) != is_used


def test_residual_weights_start_as_published() -> None:
    weight = ResDavenet().state_dict()["layer4.1.conv2.weight"]
    assert weight.std().item() == pytest.approx((2 / (9 * 1024)) ** 0.5, rel=0.01)
