"""The part of jobs/train.py that needs torch: what each process of a run does."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from extractors.raw_corpus import keep_corpus
from mcn.data.clip_source import ClipSource
from mcn.data.manifest import read_manifest
from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import clips_with_both
from mcn.data.stores import (
    Features,
    Source,
    Stores,
    fingerprints_of,
    keep_snapshot,
    open_stores,
    videos_without_motion,
)
from mcn.root import Root
from mcn.sha256 import file_sha256
from mcn.store.snapshot import Snapshot
from mcn.training.config import Runtime, TrainConfig
from mcn.training.guard import nonfinite_summary
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.loop import train_xdc

VIDEOS_SHOWN = 10


def check_gpu() -> None:
    """Returns where torch sees a GPU.

    Raises:
        ValueError: It sees none.
    """
    if not torch.cuda.is_available():
        raise ValueError(
            f"torch sees no GPU on {socket.gethostname()}, though the run was to have some; "
            "--gpus 0 trains on the processor, --device cpu --gpus 4 on processors"
        )


def num_processes(gpus: int | None, device: str) -> int:
    """How many processes train on this machine.

    Args:
        gpus: As `--gpus` has it.
        device: As `--device` has it.

    Raises:
        ValueError: The machine has not so many GPUs.
    """
    available = torch.cuda.device_count()
    if device == "cpu":
        return gpus or 1
    if gpus is None:
        return max(1, available)
    if gpus > available:
        way_out = f"--gpus {available} uses those" if available else "--gpus 0 trains on the CPU"
        raise ValueError(f"--gpus {gpus}: this machine has {available or 'no'} GPUs; {way_out}")
    return max(1, gpus)


def train_run(
    root: Root,
    run: RunFolder,
    config: TrainConfig | XdcConfig,
    runtime: Runtime,
    features: Features,
    sources: Sequence[Source],
    *,
    snapshot: Path | None,
    progress_file: Path | None,
) -> None:
    """Train a run to its end, as one of its processes.

    Args:
        root: Of all data.
        run: Where it lives.
        config: What is trained.
        runtime: How.
        features: The stores.
        sources: Those of them that it is trained on.
        snapshot: What of them; by default all that is sealed when the run begins.
        progress_file: Where other processes read how far it is.
    """
    data = _Data(root, run, features, sources, snapshot)
    is_first = int(os.environ.get("RANK", 0)) == 0
    if isinstance(config, XdcConfig):
        clips, digests = data.clips(config, is_first=is_first)
        train_xdc(
            config,
            runtime,
            clips,
            run,
            data=digests,
            categories=_categories(root),
            progress_file=progress_file,
        )
    else:
        train(config, runtime, data.stores(is_first=is_first), run, progress_file=progress_file)
    if is_first:
        print(f"{run.path.name}: trained, {run.final}")
        not_finite = nonfinite_summary(run.nonfinite_log)
        if not_finite is not None:
            print(f"{run.path.name}: {not_finite}")


@dataclass(frozen=True)
class _Data:
    """What a run is trained on."""

    root: Root
    run: RunFolder
    features: Features
    sources: Sequence[Source]
    snapshot: Path | None

    def clips(self, config: XdcConfig, *, is_first: bool) -> tuple[ClipSource, dict[str, str]]:
        """All clips, and the fingerprints of what they are read from."""
        self.run.check(config)  # before anything is put into its folder
        if config.pictures is None:
            stores = self.stores(is_first=is_first)
            stored = clips_with_both(
                MediaReader(stores),
                clip_seconds=config.clip_seconds,
                most_per_video=config.clips_per_video,
            )
            return stored, fingerprints_of(stores)
        if self.snapshot is not None:
            raise ValueError("--snapshot is of stores, and --inputs clips reads none: leave it out")
        corpus = keep_corpus(self.run.corpus, self.root)
        data = {"resized": corpus.digest()}
        if config.video_weights != "random":
            weights = Path(config.video_weights)
            if not weights.is_file():
                raise FileNotFoundError(f"--video-weights {weights}: there is no such file")
            data["video-weights"] = file_sha256(weights)
        raw = corpus.clips(
            self.root.resized,
            config.pictures,
            clip_seconds=config.clip_seconds,
            most_per_video=config.clips_per_video,
        )
        return raw, data

    def stores(self, *, is_first: bool) -> Stores:
        """Those of the features, as they were when the run began."""
        snapshot = self._kept_snapshot()
        stores = open_stores(self.root.store, self.features, snapshot, sources=self.sources)
        without_motion = videos_without_motion(stores)
        if without_motion and is_first:
            more = len(without_motion) - VIDEOS_SHOWN
            print(
                f"{self.run.path.name}: {len(without_motion)} videos count as without video, since "
                f"{self.features.video_3d} lacks them: {', '.join(without_motion[:VIDEOS_SHOWN])}"
                + (f" and {more} more" if more > 0 else "")
            )
        return stores

    def _kept_snapshot(self) -> Snapshot:
        """The shards that the run is trained on from its beginning to its end, by all ranks."""
        asked = None if self.snapshot is None else Snapshot.read(self.snapshot)
        kept = keep_snapshot(
            self.run.snapshot, self.root.store, self.features, asked, sources=self.sources
        )
        if asked not in (None, kept):
            raise ValueError(
                f"{self.run.snapshot} is another snapshot than {self.snapshot}: give this run its "
                "own --run NAME, or carry on without --snapshot"
            )
        return kept


def _categories(root: Root) -> dict[str, str]:
    """Of the videos, where there is a manifest that has any."""
    if not root.manifest.exists():
        return {}
    videos = read_manifest(root.manifest)
    return dict(zip(videos.video_ids, videos.categories, strict=True))
