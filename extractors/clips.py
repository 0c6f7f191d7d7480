"""Motion features: a row for each clip of 16 frames at 24 frames a second of a resized video."""

from dataclasses import dataclass

import torch
import torchvision
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock

from extractors.streams import MovingPictures
from extractors.transfer import to_device
from extractors.video import RANDOM_BRANCH_SCALE, is_bf16_fast

FPS = 24
"""At which MCN's published features look at a video, whatever its own rate."""
FRAMES_PER_CLIP = 16
CLASSIFIERS = ("fc", "head", "classifier")
"""What torchvision's video networks call their last part."""


@dataclass(frozen=True)
class ClipPreset:
    """What a network takes: as its published weights were trained."""

    size: tuple[int, ...]
    """Height and width that frames are scaled to; or the length of the short side alone."""
    crop: tuple[int, int]
    """Height and width of the middle of them that it sees."""
    mean: tuple[float, ...]
    """Of red, green and blue, from 0 to 1."""
    std: tuple[float, ...]

    @classmethod
    def of(cls, name: str) -> "ClipPreset":
        """That of a video network of torchvision.

        Raises:
            ValueError: If torchvision has no such network.
        """
        names = torchvision.models.list_models(module=torchvision.models.video)
        if name not in names:
            raise ValueError(
                f"video network {name!r}: torchvision has none of that name, only "
                f"{', '.join(names)}"
            )
        preset = torchvision.models.get_model_weights(name).KINETICS400_V1.transforms()
        return cls(
            size=tuple(preset.resize_size),
            crop=tuple(preset.crop_size),
            mean=tuple(preset.mean),
            std=tuple(preset.std),
        )

    @property
    def stream(self) -> MovingPictures:
        """What a file has to be decoded to."""
        return MovingPictures(FPS, self.size, self.crop)


def clips_of(
    frames: UInt8[Tensor, "time height width 3"],
) -> UInt8[Tensor, "clips 16 height width 3"]:
    """Clips one after the other; black frames fill up the last, as published."""
    missing = -len(frames) % FRAMES_PER_CLIP
    if missing:
        frames = torch.cat([frames, frames.new_zeros(missing, *frames.shape[1:])])
    clips: Tensor = frames.unflatten(0, (-1, FRAMES_PER_CLIP))
    return clips


def build_clip_network(name: str) -> nn.Module:
    """A video network of torchvision with its classifier, its weights as torch draws them."""
    network: nn.Module = torchvision.models.get_model(name, weights=None)
    return network


def draw_clip_network(name: str) -> nn.Module:
    """A video network for random weights; residual branches speak softly, as of image networks."""
    network = build_clip_network(name)
    for block in network.modules():
        if isinstance(block, BasicBlock):
            nn.init.constant_(block.conv2[1].weight, RANDOM_BRANCH_SCALE)
    return network


def published_clip_weights(name: str) -> dict[str, str]:
    """The address of the weights that torchvision trained on Kinetics-400."""
    weights = torchvision.models.get_model_weights(name)
    return {"kinetics400": weights.KINETICS400_V1.url}


class ClipExtractor:
    """A frozen video network that gives a row for each clip.

    Attributes:
        dim: Length of a row.
        batch_size: Clips that a batch should have.
        device: Where it runs.
        dtype: What it multiplies in.
    """

    def __init__(
        self, network: nn.Module, form: ClipPreset, *, batch_size: int | None = None
    ) -> None:
        """Takes the network over, without its classifier, to the GPU if there is one.

        Args:
            network: As `build_clip_network` makes it, with its weights.
            form: What it takes.
            batch_size: Clips in a batch; by default what suits the device.
        """
        self.dim = _drop_classifier(network)
        self.form = form
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.batch_size = batch_size or (32 if self.device.type == "cuda" else 1)
        self.dtype = torch.bfloat16 if is_bf16_fast(self.device) else torch.float32
        self.network = network.to(self.device).eval()

    @torch.inference_mode()
    def __call__(
        self, clips: UInt8[Tensor, "batch 16 height width 3"]
    ) -> Float[Tensor, "batch dim"]:
        """Rows in float32 on the device; a GPU may still be at work on them."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            rows: Tensor = self.network(normalize_clips(clips, self.form, self.device))
        return rows.float()


def normalize_clips(
    clips: UInt8[Tensor, "batch time height width 3"], form: ClipPreset, device: torch.device
) -> Float[Tensor, "batch 3 time height width"]:
    """Clips on the device as networks trained on Kinetics-400 expect them."""
    mean, std = (torch.tensor(values, device=device) for values in (form.mean, form.std))
    normalized = (to_device(clips, device).float() / 255 - mean) / std
    return normalized.permute(0, 4, 1, 2, 3).contiguous()


def _drop_classifier(network: nn.Module) -> int:
    """Replace the classifier by the identity; returns the dimension that came into it."""
    name = next(name for name in CLASSIFIERS if hasattr(network, name))
    layers = [m for m in getattr(network, name).modules() if isinstance(m, nn.Linear | nn.Conv3d)]
    setattr(network, name, nn.Identity())
    last = layers[-1]
    return last.in_features if isinstance(last, nn.Linear) else last.in_channels
