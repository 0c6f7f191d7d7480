"""Which features are used, by the names of their stores."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mcn.store.reader import FeatureStore
from mcn.store.snapshot import Snapshot

Source = Literal["video", "audio", "text", "video-3d"]
"""What features are read as: those of a modality, or those of motion that stand beside video's."""

SOURCES: tuple[Source, ...] = get_args(Source)

WITHOUT_WORDS: tuple[Source, ...] = ("video", "audio", "video-3d")

Stores = Mapping[Source, FeatureStore]


@dataclass(frozen=True, kw_only=True)
class Features:
    """The store of each modality, as a folder below `store/`."""

    video: str = "video-resnet152"
    """Video features."""
    audio: str = "audio-davenet"
    """Audio features."""
    text: str = "text-word2vec"
    """Text features."""
    video_3d: str | None = None
    """Features of motion (3-D) that are read beside the video features: a video that lacks either
    counts as without video. By default there are none."""


def open_stores(
    folder: Path,
    features: Features,
    snapshot: Snapshot | None = None,
    *,
    sources: Collection[Source] = SOURCES,
) -> dict[Source, FeatureStore]:
    """The stores that are read, below a `store/` folder, as they were in a snapshot if given.

    Those of some sources, where not all are wanted.
    """
    paths = store_folders(folder, features, sources)
    return {
        source: FeatureStore(path, pinned=snapshot.labels(path) if snapshot else None)
        for source, path in paths.items()
    }


def keep_snapshot(
    path: Path,
    folder: Path,
    features: Features,
    asked: Snapshot | None = None,
    *,
    sources: Collection[Source] = SOURCES,
) -> Snapshot:
    """The snapshot at `path`; where there is none, one that can be read is put there first.

    Args:
        path: Never changed once it is there.
        folder: A `store/` folder.
        features: The stores in it.
        asked: What to put there; by default all that is sealed now.
        sources: Those of the stores that are read.

    Raises:
        FileNotFoundError: A modality has nothing yet.
        ValueError: A shard is missing or cannot be read.
    """
    if path.exists():
        return Snapshot.read(path)
    new = asked or Snapshot.take(store_folders(folder, features, sources).values())
    open_stores(folder, features, new, sources=sources)
    return new.keep(path)


def store_folders(
    folder: Path, features: Features, sources: Collection[Source] = SOURCES
) -> dict[Source, Path]:
    """Where each store that is read is."""
    folders: dict[Source, Path] = {
        "video": folder / features.video,
        "audio": folder / features.audio,
        "text": folder / features.text,
    }
    if features.video_3d is not None:
        folders["video-3d"] = folder / features.video_3d
    return {source: path for source, path in folders.items() if source in sources}


def fingerprints_of(stores: Stores) -> dict[str, str]:
    """What made the features of each store, as one word."""
    return {str(source): store.fingerprint.digest() for source, store in stores.items()}


def videos_without_motion(stores: Stores) -> list[str]:
    """Videos with 2-D features and, where 3-D ones are read beside them, without those; sorted."""
    if not {"video", "video-3d"} <= stores.keys():
        return []
    return sorted(set(stores["video"].video_ids).difference(stores["video-3d"].video_ids))
