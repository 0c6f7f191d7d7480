"""Appearance features: one row for each second of a resized video."""

from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from extractors.media import MediaError, keyframes

SHORT_SIDE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def frames_of(path: Path) -> UInt8[Tensor, "time 3 height width"]:
    """The frame at each full second of a resized video, its short side 224 pixels, uncropped.

    Raises:
        MediaError: The file cannot be read, or has no keyframe at some second.
    """
    frames = []
    for second, (seconds, picture) in enumerate(keyframes(path)):
        if abs(seconds - second) > 1e-3:
            raise MediaError(
                "keyframes",
                f"{path}: a keyframe at {seconds:.3f} s where one at {second} s should be; "
                "jobs/resize.py makes videos with one a second",
            )
        frames.append(_scaled(picture))
    if not frames:
        raise MediaError("no-frames", f"{path}: no frame could be decoded")
    return torch.cat(frames)


def _scaled(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[Tensor, "1 3 high wide"]:
    height, width = picture.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    frame = torch.from_numpy(picture).permute(2, 0, 1)[None]
    # In whole numbers: several times faster than floats, and within one grey level of them.
    return F.interpolate(
        frame, (int(height * scale), int(width * scale)), mode="bilinear", antialias=True
    )


def build_backbone(name: str) -> nn.Module:
    """An image network of torchvision without its classifier, as torch draws its weights.

    Raises:
        ValueError: torchvision has no such network, or it does not end in a linear layer.
    """
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(
            f"backbone {name!r}: torchvision has none of that name; "
            "torchvision.models.list_models() lists them"
        )
    network: nn.Module = torchvision.models.get_model(name, weights=None)
    return network


def published_weights(name: str) -> dict[str, str]:
    """The address of the weights trained on ImageNet that HowTo100M's features were made with."""
    weights = torchvision.models.get_model_weights(name)
    return {"imagenet": weights["IMAGENET1K_V1"].url}


class VideoExtractor:
    """A frozen image network; one row for each frame, from batches of one fixed shape."""

    def __init__(self, network: nn.Module, *, batch_size: int | None = None) -> None:
        """Takes the network over, without its classifier, to the GPU if there is one.

        Args:
            network: As `build_backbone` makes it, with its weights.
            batch_size: Frames in a batch; by default what suits the device.
        """
        self.dim = _drop_classifier(network)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.batch_size = batch_size or (256 if self.device.type == "cuda" else 32)
        self.dtype = torch.bfloat16 if _is_bf16_fast(self.device) else torch.float32
        self.network = network.to(self.device).eval()
        for parameter in network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, frames: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Rows in float32 on the CPU."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            rows: Tensor = self.network(normalize(frames, self.device))
        return rows.float().cpu()


def normalize(
    frames: UInt8[Tensor, "batch 3 height width"], device: torch.device
) -> Float[Tensor, "batch 3 height width"]:
    """Frames on the device as networks trained on ImageNet expect them."""
    mean = torch.tensor(IMAGENET_MEAN, device=device)[:, None, None]
    std = torch.tensor(IMAGENET_STD, device=device)[:, None, None]
    normalized = (frames.to(device).float() / 255 - mean) / std
    return normalized.contiguous(memory_format=torch.channels_last)


def _drop_classifier(network: nn.Module) -> int:
    """Replace the last linear layer by the identity; returns the dimension that came into it."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(f"{type(network).__name__} does not end in a linear layer")
    parent, _, child = linear[-1].rpartition(".")
    classifier = cast(nn.Linear, network.get_submodule(linear[-1]))
    setattr(network.get_submodule(parent), child, nn.Identity())
    return classifier.in_features


def _is_bf16_fast(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
