"""Small runs of XDC on stored features, for tests of what runs do."""

from collections.abc import Mapping
from pathlib import Path

from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import StoredClips, clips_with_both
from mcn.data.stores import WITHOUT_WORDS, fingerprints_of, open_stores
from mcn.training.config import Runtime
from mcn.training.run_folder import RunFolder
from mcn.training.xdc import extraction
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.loop import train_xdc
from tests.stores import FEATURES, ids_of_stores

CONFIG = XdcConfig(
    clusters=6,
    rounds=3,
    epochs_per_round=2,
    batch_size=24,
    clip_seconds=4.0,
    clips_per_video=5,
    pca_dim=4,
    hidden_dim=32,
    out_dim=16,
)
NUM_VIDEOS = 17
NUM_CLIPS = 5 * (NUM_VIDEOS - 1)  # the last video has no sound
STEPS_PER_ROUND = 2 * 4
OFTEN = Runtime(checkpoint_every_steps=3, loader_workers=0)
CATEGORIES = {video_id: video_id[-1] for video_id in ids_of_stores(NUM_VIDEOS)}


def clips_of(root: Path, config: XdcConfig = CONFIG) -> StoredClips:
    reader = MediaReader(open_stores(root / "store", FEATURES, sources=WITHOUT_WORDS))
    return clips_with_both(
        reader, clip_seconds=config.clip_seconds, most_per_video=config.clips_per_video
    )


def train_here(
    root: Path,
    name: str,
    config: XdcConfig = CONFIG,
    categories: Mapping[str, str] = CATEGORIES,
    clips_at_once: int = 16,
) -> RunFolder:
    run = RunFolder(root / "runs" / name)
    # So that a set of some dozen clips is several chunks.
    extraction.CLIPS_AT_ONCE["features"] = clips_at_once
    clips = clips_of(root, config)
    data = fingerprints_of(clips.reader.stores)
    train_xdc(config, OFTEN, clips, run, data=data, categories=categories)
    return run
