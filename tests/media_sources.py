"""A few resized videos, sound, mute and damaged ones, and small networks that look at them."""

from pathlib import Path

import numpy as np
import torch

from extractors.audio import AudioExtractor
from extractors.audio_records import AudioRecords
from extractors.clip_records import ClipRecords
from extractors.clips import ClipExtractor, ClipPreset, build_clip_network
from extractors.corpus import ResizedVideos
from extractors.one_pass import MediaSource
from extractors.resize import ResizeConfig, resize_video
from extractors.video import VideoExtractor, build_backbone
from extractors.video_records import VideoRecords
from extractors.weights import Weights
from mcn.models.davenet import Davenet
from tests.videos import write_video

SECONDS = {"a": 3.4, "b": 1.0, "mute": 2.0, "c": 0.3, "cut": 4.0, "damaged": 4.0, "d": 2.5}
SOUND = ["a", "b", "c", "d"]
"""Videos without a fault."""
NO_WEIGHTS = Weights(Path(), "0" * 64, "")


def resized_videos_in(folder: Path) -> ResizedVideos:
    raw = folder / "raw.mkv"
    for video_id, seconds in SECONDS.items():
        write_video(raw, seconds=seconds, sample_rate=None if video_id == "mute" else 48_000)
        resize_video(raw, folder / f"{video_id}.mp4", ResizeConfig(width=64, height=48))
    raw.unlink()
    cut, damaged = folder / "cut.mp4", folder / "damaged.mp4"
    cut.write_bytes(cut.read_bytes()[:-10_000])
    content = bytearray(damaged.read_bytes())
    for place in np.random.default_rng(0).integers(len(content) // 2, len(content), 40):
        content[place] ^= 0xFF
    damaged.write_bytes(content)
    return ResizedVideos(
        folder, {"sample_rate": 16_000}, completeness=dict.fromkeys(SECONDS, 0.99), seconds=SECONDS
    )


def media_sources(videos: ResizedVideos) -> list[MediaSource]:
    """Of pictures, clips and sound."""
    torch.manual_seed(0)
    of_pictures = VideoExtractor(build_backbone("resnet18"), batch_size=4)
    form = ClipPreset(size=(20, 24), crop=(16, 16), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    of_clips = ClipExtractor(build_clip_network("r3d_18"), form, batch_size=2)
    of_sound = AudioExtractor(Davenet(), window_frames=512)
    return [
        VideoRecords(videos, of_pictures, NO_WEIGHTS, name="pictures"),
        ClipRecords(videos, of_clips, NO_WEIGHTS, name="clips"),
        AudioRecords(videos, of_sound, NO_WEIGHTS, name="sound"),
    ]
