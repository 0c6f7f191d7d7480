"""Video networks that take still images."""

import copy
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.video import VideoResNet, mc3_18, r2plus1d_18, r3d_18, s3d

from mcn.models.deflation import deflate, fit_to_static_videos, static_video

FRAMES = 8


def images(seed: int, number: int = 4) -> Tensor:
    """Smooth pictures: a few random colours, blurred."""
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(number, 3, 4, 4, generator=generator), size=24, mode="bilinear")


def batches(seeds: range) -> Iterator[Tensor]:
    return (images(seed) for seed in seeds)


@pytest.fixture(scope="module")
def video_network() -> VideoResNet:
    """R(2+1)D-18 up to its features, whose batch norms have seen pictures that move."""
    torch.manual_seed(0)
    network: VideoResNet = r2plus1d_18(weights=None)
    network.fc = nn.Identity()
    network.train()
    with torch.no_grad():
        for seed in range(4):
            moving = torch.stack([images(1000 * seed + t) for t in range(FRAMES)], dim=2)
            network(moving)
    return network.eval()


def difference(image_network: nn.Module, video_network: nn.Module, seeds: range) -> float:
    with torch.no_grad():
        losses = [
            F.l1_loss(image_network(batch), video_network(static_video(batch, FRAMES)))
            for batch in batches(seeds)
        ]
    return float(torch.stack(losses).mean())


@pytest.mark.parametrize("build", [r3d_18, mc3_18, r2plus1d_18])
def test_where_time_is_not_padded_sums_of_filters_say_what_the_video_network_says(
    build: type[VideoResNet],
) -> None:
    stem = build(weights=None).stem.eval()
    for part in stem.modules():
        if isinstance(part, nn.Conv3d):
            part.padding = (0, *part.padding[1:])
    (frame,) = stem(static_video(images(0), 3)).unbind(dim=2)
    torch.testing.assert_close(deflate(stem)(images(0)), frame, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [r3d_18, mc3_18, r2plus1d_18])
def test_every_resnet_for_videos_takes_images(build: type[VideoResNet]) -> None:
    network = build(weights=None).eval()
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        scores = deflate(network)(images(0))
    assert scores.shape == (4, 400)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.slow
def test_fitting_the_batch_norms_brings_images_closer_to_static_videos(
    video_network: VideoResNet,
) -> None:
    image_network = deflate(video_network)
    unseen = range(900, 904)
    before = difference(image_network, video_network, unseen)
    weights = {n: p.clone() for n, p in image_network.named_parameters() if "conv" in n}
    losses = fit_to_static_videos(
        image_network, video_network, batches(range(20)), num_frames=FRAMES
    )
    assert len(losses) == 20
    assert difference(image_network, video_network, unseen) < 0.5 * before
    norms = {
        f"{name}.{which}"
        for name, part in image_network.named_modules()
        if isinstance(part, nn.BatchNorm2d)
        for which in ("weight", "bias")
    }
    now = dict(image_network.named_parameters())
    assert all(torch.equal(value, now[n]) for n, value in weights.items() if n not in norms)


def test_a_layer_that_images_have_no_counterpart_of_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"features\.\d+ is a MaxPool3d, of which images have none"
    ):
        deflate(s3d(weights=None))


def test_a_network_without_batch_norms_cannot_be_fitted() -> None:
    network = nn.Conv3d(3, 4, 3)
    with pytest.raises(ValueError, match="no batch norm"):
        fit_to_static_videos(deflate(network), network, batches(range(1)), num_frames=FRAMES)
