"""What looks and listens when XDC trains from raw clips: torchvision's R(2+1)D-18 and ResNet-18.

Names of parameters are torchvision's, so that its weights, and others of that form, fit. Clips that
lack a modality do not pass through its network: they are in no batch norm, and have zeros.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mcn.data.clip_form import LOUDEST_DB, SILENCE_DB
from mcn.data.picture_form import ROW_DIM
from mcn.models.batch_norm import ClipBatchNorm
from mcn.models.pretrained import read_state


class VideoNetwork(nn.Module):
    """R(2+1)D-18 without its classifier; pictures come as bytes and are normalised here."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        # Here, since it takes seconds, of which runs without such networks need none.
        from torchvision.models.video import R2Plus1D_18_Weights, r2plus1d_18

        super().__init__()
        self.network = r2plus1d_18()
        self.network.avgpool, self.network.fc = _MeanOverMaps(), nn.Identity()
        _replace_batch_norms(self.network)
        preset = R2Plus1D_18_Weights.KINETICS400_V1.transforms()
        for name in ("mean", "std"):
            values = torch.tensor(getattr(preset, name))[:, None, None, None]
            self.register_buffer(name, values, persistent=False)

    def forward(
        self,
        pictures: UInt8[Tensor, "clips pictures height width 3"],
        is_there: Bool[Tensor, " clips"],
    ) -> Float[Tensor, "clips 512"]:
        return _rows_of(pictures, is_there, self._rows)

    def _rows(self, pictures: UInt8[Tensor, "some pictures height width 3"]) -> Tensor:
        scaled = pictures.permute(0, 4, 1, 2, 3).float() / 255
        rows: Tensor = self.network(((scaled - self.mean) / self.std).contiguous())
        return rows


class SoundNetwork(nn.Module):
    """ResNet-18 with one channel and without its classifier, of log-mel spectrograms.

    Silence is 0 and the loudest 1, so that what pads spectrograms, and convolutions, is silence.
    """

    def __init__(self) -> None:
        from torchvision.models import resnet18

        super().__init__()
        self.network = resnet18(norm_layer=ClipBatchNorm)
        self.network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.network.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.network.avgpool, self.network.fc = _MeanOverMaps(), nn.Identity()

    def forward(
        self, decibels: Float[Tensor, "clips 40 frames"], is_there: Bool[Tensor, " clips"]
    ) -> Float[Tensor, "clips 512"]:
        return _rows_of(decibels, is_there, self._rows)

    def _rows(self, decibels: Float[Tensor, "some 40 frames"]) -> Tensor:
        loudness = (decibels.float() - SILENCE_DB) / (LOUDEST_DB - SILENCE_DB)
        rows: Tensor = self.network(loudness[:, None])
        return rows


def load_video_weights(encoder: VideoNetwork, path: Path) -> None:
    """Have the network start from a file of weights of R(2+1)D-18, whatever their classifier.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds anything but tensors, or those of another network; names them.
    """
    state = {k: v for k, v in read_state(path).items() if not k.startswith("fc.")}
    wanted = encoder.network.state_dict()
    misfits = {k for k, v in state.items() if k not in wanted or v.shape != wanted[k].shape}
    misfits |= wanted.keys() - state.keys()
    if misfits:
        raise ValueError(
            f"{path} does not hold weights of torchvision's r2plus1d_18: {len(misfits)} entries "
            f"are missing, unknown or of another shape, as {min(misfits)}"
        )
    encoder.network.load_state_dict(state)


class _MeanOverMaps(nn.Module):
    """The same as torchvision's average pool, whose backward pass CUDA may add up in any order."""

    def forward(self, maps: Float[Tensor, "clips 512 *size"]) -> Float[Tensor, "clips 512"]:
        return maps.flatten(start_dim=2).mean(dim=2)


def _rows_of(
    clips: Shaped[Tensor, "clips ..."],
    is_there: Bool[Tensor, " clips"],
    encode: Callable[[Tensor], Tensor],
) -> Float[Tensor, "clips 512"]:
    """Those of the clips that are there, among zeros."""
    found = encode(clips[is_there])
    rows = found.new_zeros(len(clips), ROW_DIM)
    rows[is_there] = found
    return rows


def _replace_batch_norms(network: nn.Module) -> None:
    """Video networks of torchvision do not ask which to build."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, ClipBatchNorm(child.num_features))
