"""A video network that takes still images, without the cost of making videos of them.

MMV's deflation (Alayrac et al., 2020): a still image is a video whose frames are all the same, so
the filters of a 3-D convolution can be summed over time. That is exact but for the frames that
padding adds before and after a video, which are black and not the same; the scale and the shift of
the batch norms are fitted anew to make up for them.
"""

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def deflate(network: nn.Module) -> nn.Module:
    """The same network for images (batch, channels, height, width), by sums over time.

    Weights are copied, and the network is left as it is. What is not 3-D stays, so a head behind a
    pooled feature map works on.

    Raises:
        ValueError: A 3-D layer that has no counterpart for images, named. Torchvision's residual
            networks for videos have none of those, its others have.
    """
    return _deflated("", copy.deepcopy(network))


def fit_to_static_videos(
    image_network: nn.Module,
    video_network: nn.Module,
    images: Iterable[Float[Tensor, "batch channels height width"]],
    *,
    num_frames: int,
    lr: float = 1e-2,
) -> list[float]:
    """Fit the batch norms of a deflated network; returns the loss of every step.

    The loss is the mean absolute difference (L1) to what the video network, in evaluation mode,
    makes of the image repeated over time. Nothing but the scale and the shift of batch norms moves.

    Args:
        image_network: Of `deflate`; fitted in place, in evaluation mode afterwards.
        video_network: What it was made of.
        images: Batches, one a step; a network's last bits want some hundred.
        num_frames: Length of the video that an image stands for.
        lr: Learning rate of Adam.

    Raises:
        ValueError: The network has no batch norm to fit.
    """
    video_network.eval()
    image_network.eval()
    image_network.requires_grad_(False)
    norms = [part for part in image_network.modules() if isinstance(part, nn.BatchNorm2d)]
    learning = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
    if not learning:
        raise ValueError("the network has no batch norm that could be fitted")
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(learning, lr=lr)
    losses = []
    for batch in images:
        with torch.no_grad():
            target = video_network(static_video(batch, num_frames))
        loss = F.l1_loss(image_network(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    image_network.requires_grad_(False)
    return losses


def static_video(
    images: Float[Tensor, "batch channels height width"], num_frames: int
) -> Float[Tensor, "batch channels frames height width"]:
    """Each image as a video in which nothing moves."""
    return images[:, :, None].expand(-1, -1, num_frames, -1, -1)


def _deflated(name: str, module: nn.Module) -> nn.Module:
    for kind, make in _COUNTERPARTS.items():
        if isinstance(module, kind):
            return make(module).train(module.training)
    if type(module).__name__.endswith("3d"):
        raise ValueError(f"{name} is a {type(module).__name__}, of which images have none")
    for child_name, child in module.named_children():
        setattr(module, child_name, _deflated(f"{name}.{child_name}".lstrip("."), child))
    return module


def _convolution(of: nn.Module) -> nn.Conv2d:
    assert isinstance(of, nn.Conv3d)
    (_, *kernel_size), (_, *stride), (_, *dilation) = of.kernel_size, of.stride, of.dilation
    made = nn.Conv2d(
        of.in_channels,
        of.out_channels,
        _pair(kernel_size),
        stride=_pair(stride),
        padding=of.padding if isinstance(of.padding, str) else _pair(of.padding[1:]),
        dilation=_pair(dilation),
        groups=of.groups,
        bias=of.bias is not None,
        padding_mode=of.padding_mode,
    ).to(of.weight)
    made.load_state_dict(of.state_dict() | {"weight": of.weight.detach().sum(dim=2)})
    return made


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    height, width = sizes
    return height, width


def _batch_norm(of: nn.Module) -> nn.BatchNorm2d:
    assert isinstance(of, nn.BatchNorm3d)
    made = nn.BatchNorm2d(of.num_features, eps=of.eps, momentum=of.momentum).to(of.weight)
    made.load_state_dict(of.state_dict())
    return made


def _global_pool(of: nn.Module) -> nn.AdaptiveAvgPool2d:
    assert isinstance(of, nn.AdaptiveAvgPool3d)
    if of.output_size not in (1, (1, 1, 1)):
        raise ValueError(f"a pooling to {of.output_size} keeps time apart, which images have not")
    return nn.AdaptiveAvgPool2d(1)


_COUNTERPARTS: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    nn.Conv3d: _convolution,
    nn.BatchNorm3d: _batch_norm,
    nn.AdaptiveAvgPool3d: _global_pool,
}
