"""The part of a task of extraction that needs torch: shards of what is seen and heard."""

import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from extractors.extract import ShardToFill, fill_shards
from extractors.extract_config import ExtractConfig
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.sandbox import SandboxLimits
from extractors.sources import audio_source, clip_source, log_mel_source, video_source
from mcn.progress import Progress
from mcn.root import Root
from mcn.stop import StopRequest
from mcn.training.distributed import cpus_of_rank


def check_gpu(num_gpus: int) -> None:
    """Returns where torch sees the GPUs that the task was to have.

    Raises:
        ValueError: It sees none.
    """
    if not torch.cuda.is_available():
        raise ValueError(
            f"torch sees no GPU on {socket.gethostname()}, though --gpus-per-task is {num_gpus}; "
            "with 0 the processor extracts"
        )


def fill_from_media(
    paths: Sequence[Path],
    video_ids: Sequence[Sequence[str]],
    sources: Sequence[MediaSource],
    *,
    limits: SandboxLimits,
    decoders: int | None,
    progress: Progress,
    stop: StopRequest,
) -> None:
    """The sealed shards of several stores, by one pass over each file.

    Args:
        paths: Of the shards.
        video_ids: What each shall hold.
        sources: Of the records of each.
        limits: What a file may cost.
        decoders: Files decoded at once; by default what suits the machine.
        progress: Told of each shard's videos as they are done.
        stop: Once it is set no further video is begun; those under way are finished.
    """
    shards = [
        ShardToFill(path=path, video_ids=ids, source=source)
        for path, ids, source in zip(paths, video_ids, sources, strict=True)
    ]
    decoding = Decoding(limits=limits, num_decoders=_share_cores(decoders))
    one_pass = partial(records_in_one_pass, sources, decoding=decoding)
    fill_shards(shards, one_pass, progress=progress, stop=stop)


def _share_cores(decoders: int | None) -> int:
    """How many files are decoded at once; beside a GPU torch has the cores that are left."""
    cores = cpus_of_rank()
    if not torch.cuda.is_available():
        return decoders or 1
    num_decoders = decoders or max(1, cores - 1)
    torch.set_num_threads(max(1, cores - num_decoders))
    return num_decoders


def media_source(store: str, root: Root, place: Root, config: ExtractConfig) -> MediaSource:
    """What makes the records of a store from media files."""
    modality, _, network = store.partition("-")
    min_complete = config.min_complete
    if network == "logmel":
        return log_mel_source(place, min_complete=min_complete)
    if modality == "audio":
        weights = config.audio_weights
        return audio_source(
            root, place, network=network, weights=weights, min_complete=min_complete
        )
    if network == config.backbone_3d:
        weights = config.weights_3d
        return clip_source(
            root, place, backbone=network, weights=weights, min_complete=min_complete
        )
    weights = config.weights
    return video_source(root, place, backbone=network, weights=weights, min_complete=min_complete)
