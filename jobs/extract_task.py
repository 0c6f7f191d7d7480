"""What a task of extraction does: one shard of every store, by one pass over each file."""

import socket
from functools import partial

import torch

from extractors.corpus import captions_of
from extractors.extract import ShardToFill, extract_shard, fill_shards
from extractors.extract_config import TEXT_STORE, ExtractConfig
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.room import full_disk_explained
from extractors.sandbox import SandboxLimits
from extractors.sources import (
    audio_source,
    clip_source,
    log_mel_source,
    text_source,
    video_source,
)
from extractors.words import find_word_vectors, word_table
from jobs.extract_plan import ModalityPlan, is_made, shard_path
from jobs.shards import shard_under_way
from mcn.root import Root
from mcn.training.distributed import cpus_of_rank


def extract_shards(
    index: int,
    root: Root,
    place: Root,
    config: ExtractConfig,
    *,
    num_gpus: int,
    decoders: int | None,
    limits: SandboxLimits,
) -> None:
    """Make one shard of every store; a video counts once for each of them.

    Args:
        index: The shard.
        root: Where weights are.
        place: Where videos and stores are.
        config: What is made.
        num_gpus: That the task was to have.
        decoders: Files decoded at once; by default what suits the machine.
        limits: What a file may cost.

    Raises:
        ValueError: torch sees no GPU where there was to be one.
    """
    if num_gpus and not torch.cuda.is_available():
        raise ValueError(
            f"torch sees no GPU on {socket.gethostname()}, though --gpus-per-task is {num_gpus}; "
            "with 0 the processor extracts"
        )
    plans = {modality: ModalityPlan.read(place, modality) for modality in config.modalities}
    shards_of = {store: plans[m].of_store(store) for store, m in config.stores.items()}
    planned = {store: shards[index] for store, shards in shards_of.items() if index in shards}
    label = f"extract {place.path.name}, shard {index}"
    with (
        full_disk_explained(place.store),
        shard_under_way(label, sum(map(len, planned.values()))) as (progress, stop),
    ):
        to_make = {}
        for store, video_ids in planned.items():
            path = shard_path(index, store, place)
            if is_made(path):
                progress.skip(len(video_ids))
            else:
                to_make[store] = path
        num_decoders = _share_cores(decoders)
        of_media = [store for store in to_make if store != TEXT_STORE]
        if of_media:
            sources = [_media_source(store, root, place, config) for store in of_media]
            shards = [
                ShardToFill(path=to_make[store], video_ids=planned[store], source=source)
                for store, source in zip(of_media, sources, strict=True)
            ]
            decoding = Decoding(limits=limits, num_decoders=num_decoders)
            one_pass = partial(records_in_one_pass, sources, decoding=decoding)
            fill_shards(shards, one_pass, progress=progress, stop=stop)
        if TEXT_STORE in to_make:
            vectors = find_word_vectors(config.word_vectors, root.weights)
            source = text_source(captions_of(place), place, word_vectors=vectors)
            video_ids = planned[TEXT_STORE]
            extract_shard(to_make[TEXT_STORE], video_ids, source, progress=progress, stop=stop)


def _share_cores(decoders: int | None) -> int:
    """How many files are decoded at once; beside a GPU torch has the cores that are left."""
    cores = cpus_of_rank()
    if not torch.cuda.is_available():
        return decoders or 1
    num_decoders = decoders or max(1, cores - 1)
    torch.set_num_threads(max(1, cores - num_decoders))
    return num_decoders


def prepare(root: Root, place: Root, config: ExtractConfig) -> None:
    """Miss what is missing now, and make what all tasks share once, not in each of them."""
    for store in config.stores:
        if store == TEXT_STORE:
            word_table(find_word_vectors(config.word_vectors, root.weights), place.store)
        else:
            _media_source(store, root, place, config)


def _media_source(store: str, root: Root, place: Root, config: ExtractConfig) -> MediaSource:
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
