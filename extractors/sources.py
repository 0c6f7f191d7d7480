"""Puts together what makes the records of each modality, for the videos below a root."""

import itertools
from functools import partial
from pathlib import Path

import torch
from torch import nn

from extractors.audio import AudioExtractor, log_mel
from extractors.audio_records import SAMPLE_RATE, AudioRecords
from extractors.corpus import ResizedVideos, resized_videos
from extractors.log_mel_records import LogMelRecords
from extractors.media import MediaError, read_waveform
from extractors.text_records import TextRecords
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
from extractors.words import Vocabulary, word_table
from mcn.data.captions import Captions
from mcn.models.davenet import DAVENETS
from mcn.root import Root

VIDEOS_TO_FIT = 64
"""Training videos whose frames or sound set the batch norms of a network drawn at random."""


def video_source(root: Root, place: Root, *, backbone: str, weights: str) -> VideoRecords:
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
    return VideoRecords(videos, VideoExtractor(network), found, name=f"video-{backbone}")


def audio_source(root: Root, place: Root, *, network: str, weights: str | None) -> AudioRecords:
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
    return AudioRecords(ResizedVideos.below(place), extractor, found, name=f"audio-{network}")


def log_mel_source(place: Root) -> LogMelRecords:
    """Log-mel spectrograms of the resized videos of `place`."""
    return LogMelRecords(ResizedVideos.below(place), name="audio-logmel")


def text_source(captions: dict[str, Captions], place: Root, *, word_vectors: Path) -> TextRecords:
    """Words of captions, by their numbers in the table of a file of word vectors."""
    return TextRecords(captions, Vocabulary.of(word_table(word_vectors, place.store)))


def _first_videos(root: Root) -> list[Path]:
    video_ids = itertools.islice(sorted(resized_videos(root)), VIDEOS_TO_FIT)
    return [root.resized / f"{video_id}.mp4" for video_id in video_ids]


def _fit_to_frames(root: Root, network: nn.Module) -> None:
    videos = [frames_of(path) for path in _first_videos(root)]
    # One batch of many videos: within one video frames differ too little.
    middles = torch.stack([frames[len(frames) // 2] for frames in videos])
    fit_batch_norms(network, [normalize(middles, torch.device("cpu"))])


def _fit_to_sound(root: Root, network: nn.Module) -> None:
    spectrograms = []
    for path in _first_videos(root):
        try:
            waveform = torch.from_numpy(read_waveform(path, SAMPLE_RATE))
        except MediaError:  # without sound
            continue
        spectrograms.append(log_mel(waveform, SAMPLE_RATE)[None])
    fit_batch_norms(network, spectrograms)
