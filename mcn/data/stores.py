"""Which features are used, by the names of their stores."""

from dataclasses import dataclass
from pathlib import Path

from mcn.modality import Modality
from mcn.store.reader import FeatureStore
from mcn.store.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Features:
    """The store of each modality, as a folder below `store/`."""

    video: str = "video-resnet152"
    """Video features."""
    audio: str = "audio-davenet"
    """Audio features."""
    text: str = "text-word2vec"
    """Text features."""


def open_stores(
    folder: Path, features: Features, snapshot: Snapshot | None = None
) -> dict[Modality, FeatureStore]:
    """The stores of all modalities below a `store/` folder, as they were in a snapshot if given."""
    paths = store_folders(folder, features)
    return {
        modality: FeatureStore(path, pinned=snapshot.labels(path) if snapshot else None)
        for modality, path in paths.items()
    }


def keep_snapshot(
    path: Path, folder: Path, features: Features, asked: Snapshot | None = None
) -> Snapshot:
    """The snapshot at `path`; where there is none, one that can be read is put there first.

    Args:
        path: Never changed once it is there.
        folder: A `store/` folder.
        features: The stores in it.
        asked: What to put there; by default all that is sealed now.

    Raises:
        FileNotFoundError: A modality has nothing yet.
        ValueError: A shard is missing or cannot be read.
    """
    if path.exists():
        return Snapshot.read(path)
    new = asked or Snapshot.take(store_folders(folder, features).values())
    open_stores(folder, features, new)
    return new.keep(path)


def store_folders(folder: Path, features: Features) -> dict[Modality, Path]:
    """Where the store of each modality is."""
    return {
        "video": folder / features.video,
        "audio": folder / features.audio,
        "text": folder / features.text,
    }
