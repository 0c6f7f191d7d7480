"""The two DAVEnets: networks that turn a log-mel spectrogram into 6.25 rows a second.

Harwath et al. published `Davenet` (ECCV 2018) without weights and later `ResDavenet`, which MCN
and AVLnet train from scratch under the same name. Both take 40 mel bands at 100 frames a second
and halve the rate four times. Parameters are named as in the published checkpoints, MCN's
without their `DAVEnet.` in front.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FRAMES_PER_ROW = 16
NUM_MEL = 40
ROW_DIM = 1024


class Davenet(nn.Module):
    """DAVEnet of ECCV 2018: five convolutions, four of them followed by max-pooling over time."""

    context_frames = 132
    """Row t depends on the frames from 16 t - context_frames to 16 t + context_frames."""

    def __init__(self) -> None:
        super().__init__()
        self.batchnorm1 = nn.BatchNorm2d(1)
        self.conv1 = nn.Conv2d(1, 128, (NUM_MEL, 1))
        self.conv2 = nn.Conv2d(128, 256, (1, 11), padding=(0, 5))
        self.conv3 = nn.Conv2d(256, 512, (1, 17), padding=(0, 8))
        self.conv4 = nn.Conv2d(512, 512, (1, 17), padding=(0, 8))
        self.conv5 = nn.Conv2d(512, ROW_DIM, (1, 17), padding=(0, 8))
        self.pool = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))

    def forward(
        self, log_mel: Float[Tensor, "batch 40 frames"]
    ) -> Float[Tensor, "batch 1024 rows"]:
        x: Tensor = F.relu(self.conv1(self.batchnorm1(log_mel[:, None])))
        for conv in (self.conv2, self.conv3, self.conv4, self.conv5):
            x = self.pool(F.relu(conv(x)))
        return x.squeeze(2)


class ResidualBlock(nn.Module):
    """Two convolutions over time, added to a shortcut."""

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv9(in_channels, channels, stride=stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv9(channels, channels, stride=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=(1, stride), bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(
        self, x: Float[Tensor, "batch in_channels 1 frames"]
    ) -> Float[Tensor, "batch channels 1 rows"]:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResDavenet(nn.Module):
    """The residual DAVEnet inside MCN: four stages of two blocks, each stage halving the rate.

    `batchnorm1` is there because the published checkpoints have it; it takes no part.
    """

    context_frames = 420
    """Row t depends on the frames from 16 t - context_frames to 16 t + context_frames."""

    def __init__(self) -> None:
        super().__init__()
        self.batchnorm1 = nn.BatchNorm2d(1)
        self.conv1 = nn.Conv2d(1, 128, (NUM_MEL, 1), bias=False)
        self.bn1 = nn.BatchNorm2d(128)
        self.layer1 = _stage(128, 128)
        self.layer2 = _stage(128, 256)
        self.layer3 = _stage(256, 512)
        self.layer4 = _stage(512, ROW_DIM)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = math.prod(module.kernel_size) * module.out_channels
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))

    def forward(
        self, log_mel: Float[Tensor, "batch 40 frames"]
    ) -> Float[Tensor, "batch 1024 rows"]:
        x: Tensor = F.relu(self.bn1(self.conv1(log_mel[:, None])))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.squeeze(2)


def _conv9(in_channels: int, channels: int, *, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, (1, 9), stride=(1, stride), padding=(0, 4), bias=False)


def _stage(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(in_channels, channels, stride=2), ResidualBlock(channels, channels, stride=1)
    )
