"""Appearance features: one row for each second of a resized video."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from extractors.pictures import pictures_of
from extractors.transfer import to_device

SHORT_SIDE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RANDOM_BRANCH_SCALE = 0.1


def frames_of(path: Path) -> UInt8[Tensor, "time 3 height width"]:
    """The frame at each full second of a resized video, its short side 224 pixels, uncropped.

    Raises:
        MediaError: If the file cannot be read, or is not as it was resized: see `pictures_of`.
    """
    return frames_from(pictures_of(path))


def frames_from(
    pictures: Iterable[UInt8[np.ndarray, "some height width 3"]],
) -> UInt8[Tensor, "time 3 high wide"]:
    """Frames of pictures that come some at a time."""
    return torch.cat([scaled(some) for some in pictures])


def scaled(
    pictures: UInt8[np.ndarray, "time height width 3"],
) -> UInt8[Tensor, "time 3 high wide"]:
    """Pictures with a short side of 224 pixels, uncropped."""
    size = pictures.shape[1:3]
    high, wide = (length * SHORT_SIDE // min(size) for length in size)
    frames = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    # In whole numbers: several times faster than floats, and within one grey level of them.
    return F.interpolate(frames, (high, wide), mode="bilinear", antialias=True)


def build_backbone(name: str) -> nn.Module:
    """An image network of torchvision with its classifier, its weights as torch draws them.

    Those that take frames of one size only, as vision transformers do, give no rows for ours.

    Raises:
        ValueError: If torchvision has no such network.
    """
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(
            f"backbone {name!r}: torchvision has none of that name; "
            "torchvision.models.list_models() lists them"
        )
    network: nn.Module = torchvision.models.get_model(name, weights=None)
    return network


def draw_backbone(name: str) -> nn.Module:
    """An image network for random weights: with residual branches that speak softly.

    Fifty random blocks at full strength wash out what came in; at a tenth, the network still tells
    frames apart by colour, texture and layout.
    """
    network = build_backbone(name)
    for block in network.modules():
        if isinstance(block, BasicBlock):
            nn.init.constant_(block.bn2.weight, RANDOM_BRANCH_SCALE)
        elif isinstance(block, Bottleneck):
            nn.init.constant_(block.bn3.weight, RANDOM_BRANCH_SCALE)
    return network


def published_weights(name: str) -> dict[str, str]:
    """The address of the weights that torchvision trained on ImageNet, if there are any."""
    weights = torchvision.models.get_model_weights(name).__members__.get("IMAGENET1K_V1")
    return {} if weights is None else {"imagenet": weights.url}


class VideoExtractor:
    """A frozen image network that gives a row for each frame.

    Attributes:
        dim: Length of a row.
        batch_size: Frames that a batch should have.
        device: Where it runs.
        dtype: What it multiplies in.
    """

    def __init__(self, network: nn.Module, *, batch_size: int | None = None) -> None:
        """Takes the network over, without its classifier, to the GPU if there is one.

        Args:
            network: As `build_backbone` makes it, with its weights.
            batch_size: Frames in a batch; by default what suits the device.
        """
        self.dim = _drop_classifier(network)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # More than 8 frames of ResNet-152 outgrow a processor's caches: 32 take a tenth longer.
        self.batch_size = batch_size or (256 if self.device.type == "cuda" else 8)
        self.dtype = torch.bfloat16 if is_bf16_fast(self.device) else torch.float32
        self.network = network.to(self.device).eval()
        for parameter in network.parameters():
            if parameter.dim() == 4:  # of a convolution, in the form that autocast would give it
                parameter.data = parameter.data.to(self.dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, frames: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Rows in float32 on the device; a GPU may still be at work on them."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            rows: Tensor = self.network(normalize(frames, self.device))
        return rows.float()


def normalize(
    frames: UInt8[Tensor, "batch 3 height width"], device: torch.device
) -> Float[Tensor, "batch 3 height width"]:
    """Frames on the device as networks trained on ImageNet expect them."""
    mean, std = _imagenet_statistics(device)
    normalized = (to_device(frames, device).float() / 255 - mean) / std
    return normalized.contiguous(memory_format=torch.channels_last)


@cache
def _imagenet_statistics(
    device: torch.device,
) -> tuple[Float[Tensor, "3 1 1"], Float[Tensor, "3 1 1"]]:
    mean = torch.tensor(IMAGENET_MEAN, device=device)[:, None, None]
    std = torch.tensor(IMAGENET_STD, device=device)[:, None, None]
    return mean, std


def _drop_classifier(network: nn.Module) -> int:
    """Replace the last linear layer by the identity; returns the dimension that came into it."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(f"{type(network).__name__} does not end in a linear layer")
    parent, _, child = linear[-1].rpartition(".")
    classifier = cast(nn.Linear, network.get_submodule(linear[-1]))
    setattr(network.get_submodule(parent), child, nn.Identity())
    return classifier.in_features


def is_bf16_fast(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
