"""Which features are used, by the names of their stores."""

from dataclasses import dataclass
from pathlib import Path

from mcn.modality import Modality
from mcn.store.reader import FeatureStore


@dataclass(frozen=True, kw_only=True)
class Features:
    """The store of each modality, as a folder below `store/`."""

    video: str = "video-resnet152"
    """Video features."""
    audio: str = "audio-davenet"
    """Audio features."""
    text: str = "text-word2vec"
    """Text features."""


def open_stores(folder: Path, features: Features) -> dict[Modality, FeatureStore]:
    """The stores of all modalities below a `store/` folder."""
    return {
        "video": FeatureStore(folder / features.video),
        "audio": FeatureStore(folder / features.audio),
        "text": FeatureStore(folder / features.text),
    }
