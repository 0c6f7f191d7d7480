"""Which features are wanted of videos, and by what they are made; imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mcn.modality import MODALITIES, Modality

TEXT_STORE = "text-word2vec"


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """What decides the rows of all stores that are made."""

    modalities: tuple[Modality, ...] = MODALITIES
    """Modalities to extract."""
    backbone: str = "resnet152"
    """Image network of the video features: any classification model of torchvision."""
    weights: str = "imagenet"
    """Weights of the image network: imagenet, random:SEED, or a file."""
    backbone_3d: str | None = None
    """Video network for features of motion, besides: any of torchvision's, as r2plus1d_18."""
    weights_3d: str = "kinetics400"
    """Weights of the video network: kinetics400, random:SEED, or a file."""
    audio_network: Literal["davenet", "resdavenet", "logmel"] = "davenet"
    """Network of the audio features: of ECCV 2018, or the residual one that MCN trains. logmel has
    none and stores the log-mel spectrograms, on which jobs/train.py --audio-encoder trains one."""
    audio_weights: str | None = None
    """Weights of the audio network: random:SEED, or a file; by default weights/NETWORK.pth below
    the root."""
    word_vectors: Path | None = None
    """Word vectors in word2vec's binary format; by default
    weights/GoogleNews-vectors-negative300.bin below the root."""
    min_complete: float = 0.95
    """Share that must be there of what a video's raw file promised; the others fail as truncated.
    Features of another share do not mix with these."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_complete <= 1:
            raise ValueError(f"min_complete {self.min_complete} is outside 0..1")

    @property
    def stores(self) -> dict[str, Modality]:
        """The stores that are asked for, each with the modality whose plan it follows."""
        names: dict[Modality, list[str | None]] = {
            "video": [self.backbone, self.backbone_3d],
            "audio": [self.audio_network],
            "text": ["word2vec"],
        }
        return {
            f"{modality}-{name}": modality
            for modality in self.modalities
            for name in names[modality]
            if name is not None
        }
