"""The two DAVEnets: networks that turn a log-mel spectrogram into 6.25 rows a second.

Harwath et al. published `Davenet` (ECCV 2018) without weights and later `ResDavenet`, which MCN
and AVLnet train from scratch under the same name. Both take 40 mel bands at 100 frames a second
and halve the rate four times. Parameters are named as in the published checkpoints, MCN's
without their `DAVEnet.` in front.

Both can be told how many frames of each spectrogram come before its padding: those alone are then
heard, so that the rows are those of the spectrogram by itself, however it is padded.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mcn.models.batch_norm import BatchNorm

FRAMES_PER_ROW = 16
NUM_MEL = 40
ROW_DIM = 1024


class Davenet(nn.Module):
    """DAVEnet of ECCV 2018: five convolutions, four of them followed by max-pooling over time."""

    context_frames = 132
    """Row t depends on the frames from 16 t - context_frames to 16 t + context_frames."""

    def __init__(self) -> None:
        super().__init__()
        self.batchnorm1 = BatchNorm(1)
        self.conv1 = nn.Conv2d(1, 128, (NUM_MEL, 1))
        self.conv2 = nn.Conv2d(128, 256, (1, 11), padding=(0, 5))
        self.conv3 = nn.Conv2d(256, 512, (1, 17), padding=(0, 8))
        self.conv4 = nn.Conv2d(512, 512, (1, 17), padding=(0, 8))
        self.conv5 = nn.Conv2d(512, ROW_DIM, (1, 17), padding=(0, 8))
        self.pool = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))

    def forward(
        self,
        log_mel: Float[Tensor, "batch 40 frames"],
        num_frames: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 1024 rows"]:
        is_sound = _is_sound(log_mel, num_frames)
        x: Tensor = _sound_of(
            F.relu(self.conv1(self.batchnorm1(log_mel[:, None], is_sound))), is_sound
        )
        for conv in (self.conv2, self.conv3, self.conv4, self.conv5):
            x = self.pool(_sound_of(F.relu(conv(x)), is_sound))
            is_sound = _halved(is_sound)
            x = _sound_of(x, is_sound)
        return x.squeeze(2)


class ResidualBlock(nn.Module):
    """Two convolutions over time, added to a shortcut."""

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv9(in_channels, channels, stride=stride)
        self.bn1 = BatchNorm(channels)
        self.conv2 = _conv9(channels, channels, stride=1)
        self.bn2 = BatchNorm(channels)
        self.downsample: nn.Sequential | None = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=(1, stride), bias=False),
                BatchNorm(channels),
            )

    def forward(
        self,
        x: Float[Tensor, "batch in_channels 1 frames"],
        is_sound: Bool[Tensor, "batch 1 1 rows"] | None = None,
    ) -> Float[Tensor, "batch channels 1 rows"]:
        """Zero where there is no sound, as `x` is to be: batch norms see to that."""
        y = F.relu(self.bn1(self.conv1(x), is_sound))
        y = self.bn2(self.conv2(y), is_sound)
        if self.downsample is None:
            return F.relu(y + x)
        conv, norm = self.downsample
        return F.relu(y + norm(conv(x), is_sound))


class ResDavenet(nn.Module):
    """The residual DAVEnet inside MCN: four stages of two blocks, each stage halving the rate.

    `batchnorm1` is there because the published checkpoints have it; it takes no part.
    """

    context_frames = 420
    """Row t depends on the frames from 16 t - context_frames to 16 t + context_frames."""

    def __init__(self) -> None:
        super().__init__()
        self.batchnorm1 = BatchNorm(1)
        self.conv1 = nn.Conv2d(1, 128, (NUM_MEL, 1), bias=False)
        self.bn1 = BatchNorm(128)
        self.layer1 = _stage(128, 128)
        self.layer2 = _stage(128, 256)
        self.layer3 = _stage(256, 512)
        self.layer4 = _stage(512, ROW_DIM)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = math.prod(module.kernel_size) * module.out_channels
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))

    def forward(
        self,
        log_mel: Float[Tensor, "batch 40 frames"],
        num_frames: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 1024 rows"]:
        is_sound = _is_sound(log_mel, num_frames)
        x: Tensor = F.relu(self.bn1(self.conv1(log_mel[:, None]), is_sound))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            is_sound = _halved(is_sound)
            for block in stage:
                x = block(x, is_sound)
        return x.squeeze(2)


DAVENETS: dict[str, type[Davenet | ResDavenet]] = {"davenet": Davenet, "resdavenet": ResDavenet}


def mean_of_rows(
    rows: Float[Tensor, "clips dim rows"], num_rows: Int[Tensor, " clips"]
) -> Float[Tensor, "clips dim"]:
    """Mean of the first rows of each clip, as many as are said; zero of none."""
    is_counted = torch.arange(rows.shape[2], device=rows.device) < num_rows[:, None]
    return (rows * is_counted[:, None]).sum(dim=2) / num_rows.clamp(min=1)[:, None]


def _is_sound(log_mel: Tensor, num_frames: Tensor | None) -> Tensor | None:
    if num_frames is None:
        return None
    frames = torch.arange(log_mel.shape[2], device=log_mel.device)
    return (frames < num_frames[:, None])[:, None, None]


def _halved(is_sound: Tensor | None) -> Tensor | None:
    return None if is_sound is None else is_sound[..., ::2]


def _sound_of(x: Tensor, is_sound: Tensor | None) -> Tensor:
    return x if is_sound is None else x * is_sound


def _conv9(in_channels: int, channels: int, *, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, (1, 9), stride=(1, stride), padding=(0, 4), bias=False)


def _stage(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(in_channels, channels, stride=2), ResidualBlock(channels, channels, stride=1)
    )
