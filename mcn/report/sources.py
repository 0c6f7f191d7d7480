"""What the report says of how the results came about, read from the files below a root."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

import torch
import yaml

from mcn.data.benchmark_folder import benchmark_folders
from mcn.data.ledger import read_ledger
from mcn.data.stores import (
    Features,
    Source,
    store_folders,
    videos_without_motion,
)
from mcn.report.content import SkippedVideo
from mcn.root import Root
from mcn.store.reader import FeatureStore
from mcn.store.snapshot import Snapshot
from mcn.training.run_folder import RunFolder

PACKAGES = ("torch", "torchvision", "torchaudio", "av", "h5py", "numpy", "gensim")


def skipped_videos(root: Root, features: Features) -> list[SkippedVideo]:
    """Every video that a step could not use, of the training videos and of all benchmarks."""
    places = [root, *(Root(path) for path in benchmark_folders(root))]
    return [skipped for place in places for skipped in _skipped(place, features)]


def provenance(
    root: Root, features: Features, runs: Sequence[RunFolder]
) -> dict[str, dict[str, str]]:
    """Weights, features, configuration and snapshot of every run, versions and machine."""
    stores = _stores(root, features).values()
    sections = {"weights": {store.folder.name: _weights(store) for store in stores}}
    for store in stores:
        fingerprint = store.fingerprint
        sections[f"features {store.folder.name}"] = {
            "fingerprint": fingerprint.digest(),
            "videos": str(len(store)),
            **{name: str(value) for name, value in fingerprint.recipe.items()},
        }
    for run in runs:
        begun = yaml.safe_load(run.config.read_text())
        config = {name: str(value) for name, value in begun["train"].items()}
        sections[f"run {run.path.name}"] = {
            **config,
            "snapshot of the store": _snapshot(run),
            "code": begun["code"],
        }
    sections["evaluated with"] = {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "cores": str(len(os.sched_getaffinity(0))),
    }
    return sections


def _skipped(place: Root, features: Features) -> list[SkippedVideo]:
    resize = [
        SkippedVideo(
            video_id=outcome.video_id, step="resize", reason=outcome.reason, detail=outcome.detail
        )
        for outcome in read_ledger(place.ledger / "resize").values()
        if outcome.status == "failed"
    ]
    stores = _stores(place, features)
    extract = [
        SkippedVideo(video_id=video_id, step=store.folder.name, reason=reason, detail="")
        for store in stores.values()
        for video_id, reason in store.failures()
    ]
    without_motion = [
        SkippedVideo(
            video_id=video_id,
            step=stores["video"].folder.name,
            reason="no-3d",
            detail=f"not in {stores['video-3d'].folder.name}: counts as without video",
        )
        for video_id in videos_without_motion(stores)
    ]
    return sorted(
        resize + extract + without_motion, key=lambda skipped: (skipped.step, skipped.video_id)
    )


def _stores(place: Root, features: Features) -> dict[Source, FeatureStore]:
    """As far as there are any: benchmarks of classes and runs on raw clips need not have all."""
    paths = store_folders(place.store, features)
    return {source: FeatureStore(path) for source, path in paths.items() if path.exists()}


def _snapshot(run: RunFolder) -> str:
    """A run that no command started may have kept none."""
    return Snapshot.read(run.snapshot).digest() if run.snapshot.exists() else "not kept"


def _weights(store: FeatureStore) -> str:
    fingerprint = store.fingerprint
    return (
        f"{fingerprint.recipe.get('weights', 'file')} (SHA-256 {fingerprint.weights_sha256[:12]})"
    )
