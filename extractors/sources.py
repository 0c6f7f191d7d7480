"""Puts together what makes the records of video and sound, for the videos below a root."""

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from extractors.audio import SAMPLE_RATE, AudioExtractor, log_mel
from extractors.audio_records import AudioRecords
from extractors.clip_records import ClipRecords
from extractors.clips import (
    FRAMES_PER_CLIP,
    ClipExtractor,
    ClipPreset,
    build_clip_network,
    clips_of,
    draw_clip_network,
    normalize_clips,
    published_clip_weights,
)
from extractors.corpus import ResizedVideos, resized_videos
from extractors.log_mel_records import LogMelRecords
from extractors.media import MediaError, read_waveform
from extractors.moving_pictures import moving_pictures_of
from extractors.video import (
    VideoExtractor,
    build_backbone,
    draw_backbone,
    frames_of,
    normalize,
    published_weights,
)
from extractors.video_records import VideoRecords
from extractors.weights import fit_batch_norms, load_weights, resolve_weights
from mcn.models.davenet import DAVENETS
from mcn.root import Root

VIDEOS_TO_FIT = 64
"""Training videos whose frames or sound set the batch norms of a network drawn at random."""


CLIPS_TO_FIT = 16
"""Training videos whose middle clip does so for a video network."""


def video_source(
    root: Root, place: Root, *, backbone: str, weights: str, min_complete: float
) -> VideoRecords:
    """Video features of the resized videos of `place`, with weights kept below `root`."""
    found = resolve_weights(
        weights,
        model=backbone,
        folder=root.weights,
        build=partial(draw_backbone, backbone),
        fit=partial(_fit_to_frames, root),
        published=published_weights(backbone),
    )
    network = build_backbone(backbone)
    load_weights(network, found.path)
    videos = ResizedVideos.below(place)
    return VideoRecords(
        videos,
        VideoExtractor(network),
        found,
        name=f"video-{backbone}",
        min_complete=min_complete,
    )


def clip_source(
    root: Root, place: Root, *, backbone: str, weights: str, min_complete: float
) -> ClipRecords:
    """Motion features of the resized videos of `place`, with weights kept below `root`."""
    form = ClipPreset.of(backbone)
    found = resolve_weights(
        weights,
        model=backbone,
        folder=root.weights,
        build=partial(draw_clip_network, backbone),
        fit=partial(_fit_to_clips, root, form),
        published=published_clip_weights(backbone),
    )
    network = build_clip_network(backbone)
    load_weights(network, found.path)
    return ClipRecords(
        ResizedVideos.below(place),
        ClipExtractor(network, form),
        found,
        name=f"video-{backbone}",
        min_complete=min_complete,
    )


def audio_source(
    root: Root, place: Root, *, network: str, weights: str | None, min_complete: float
) -> AudioRecords:
    """Audio features of the resized videos of `place`, with weights kept below `root`."""
    build = DAVENETS[network]
    found = resolve_weights(
        weights or str(root.weights / f"{network}.pth"),
        model=network,
        folder=root.weights,
        build=build,
        fit=partial(_fit_to_sound, root),
        published={},
    )
    module = build()
    load_weights(module, found.path)
    extractor = AudioExtractor(module, device="cuda" if torch.cuda.is_available() else "cpu")
    return AudioRecords(
        ResizedVideos.below(place),
        extractor,
        found,
        name=f"audio-{network}",
        min_complete=min_complete,
    )


def log_mel_source(place: Root, *, min_complete: float) -> LogMelRecords:
    """Log-mel spectrograms of the resized videos of `place`."""
    videos = ResizedVideos.below(place)
    return LogMelRecords(videos, name="audio-logmel", min_complete=min_complete)


def _first_videos(root: Root) -> list[Path]:
    video_ids = itertools.islice(sorted(resized_videos(root)), VIDEOS_TO_FIT)
    return [root.resized / f"{video_id}.mp4" for video_id in video_ids]


def _fit_to_frames(root: Root, network: nn.Module) -> None:
    videos = [frames_of(path) for path in _first_videos(root)]
    # One batch of many videos: within one video frames differ too little.
    middles = torch.stack([frames[len(frames) // 2] for frames in videos])
    fit_batch_norms(network, [normalize(middles, torch.device("cpu"))])


def _fit_to_clips(root: Root, form: ClipPreset, network: nn.Module) -> None:
    middles = []
    for path in _first_videos(root)[:CLIPS_TO_FIT]:
        frames = torch.from_numpy(np.concatenate(list(moving_pictures_of(path, form.stream))))
        middles.append(clips_of(frames)[len(frames) // FRAMES_PER_CLIP // 2])
    fit_batch_norms(network, [normalize_clips(torch.stack(middles), form, torch.device("cpu"))])


def _fit_to_sound(root: Root, network: nn.Module) -> None:
    spectrograms = []
    for path in _first_videos(root):
        try:
            waveform = torch.from_numpy(read_waveform(path, SAMPLE_RATE))
        except MediaError:  # without sound
            continue
        spectrograms.append(log_mel(waveform, SAMPLE_RATE, silence="quiet")[None])
    fit_batch_norms(network, spectrograms)
