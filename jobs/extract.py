"""Features into the store: `python jobs/extract.py --array 0-899`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import captions_of, resized_videos
from extractors.extract import RecordSource, extract_shard
from extractors.plan import Plan, extend_plan, read_plan
from extractors.sources import audio_source, log_mel_source, text_source, video_source
from extractors.words import find_word_vectors, word_table
from jobs.command import run_command
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.modality import MODALITIES, Modality
from mcn.root import Root
from mcn.store.layout import SEALED_SUFFIX, is_sealed
from mcn.store.upkeep.merged import is_merged
from slurm.environment import current_task
from slurm.launch import Target
from slurm.resources import site_resources


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Extract the features that the store still lacks; run it again to carry on."""

    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    benchmark: str | None = None
    """Work on this benchmark's videos instead of the training videos."""
    array: str | None = None
    """Shards to work on, as SLURM writes them: 0-899, or 3,7,20-29, or 0-899%64 for 64 at once; or
    failed, for those that ended short. By default all."""
    modalities: tuple[Modality, ...] = MODALITIES
    """Modalities to extract."""
    backbone: str = "resnet152"
    """Image network of the video features: any classification model of torchvision."""
    weights: str = "imagenet"
    """Weights of the image network: imagenet, random:SEED, or a file."""
    audio_network: Literal["davenet", "resdavenet", "logmel"] = "davenet"
    """Network of the audio features: of ECCV 2018, or the residual one that MCN trains. logmel has
    none and stores the log-mel spectrograms, on which jobs/train.py --audio-encoder trains one."""
    audio_weights: str | None = None
    """Weights of the audio network: random:SEED, or a file; by default weights/NETWORK.pth below
    the root."""
    word_vectors: Path | None = None
    """Word vectors in word2vec's binary format; by default
    weights/GoogleNews-vectors-negative300.bin below the root."""
    videos_per_shard: int = 1000
    """Mean number of videos in a shard, when new videos are planned."""
    target: OmitArgPrefixes[Target] = field(
        default_factory=lambda: Target(resources=site_resources("extract", memory_gb=16))
    )


def main(arguments: Arguments) -> None:
    """Plan what is new, and bring the shards that are not done to where they are extracted."""
    root = Root.resolve(arguments.root)
    place = root.benchmark(arguments.benchmark) if arguments.benchmark else root
    task = current_task()
    if task is not None:
        _extract(task.index, root, place, arguments)
        return
    plans = {modality: _plan(modality, place, arguments) for modality in arguments.modalities}
    num_shards = max(map(len, plans.values()))
    step = step_of(root, "extract", arguments.benchmark)
    asked, max_running = shards_asked_for(arguments.array, num_shards, step)
    left = [
        index
        for index in asked
        if any(
            index < len(plan) and not _is_made(_shard_path(index, modality, place, arguments))
            for modality, plan in plans.items()
        )
    ]
    if left:
        for modality in arguments.modalities:
            _prepare(modality, root, place, arguments)
    launch_shards(
        step,
        "extract",
        asked,
        left,
        arguments.target,
        max_running=max_running,
        here=lambda index: _extract(index, root, place, arguments),
    )


def _plan(modality: Modality, place: Root, arguments: Arguments) -> Plan:
    if modality == "text":
        lines = captions_of(place).items()
        costs = {video_id: float(len(captions)) for video_id, captions in lines}
    else:
        resized = resized_videos(place).items()
        costs = {video_id: float(outcome.num_frames) for video_id, outcome in resized}
    path = place.plans / f"{modality}.csv"
    plan = extend_plan(path, costs, videos_per_shard=arguments.videos_per_shard)
    if not plan:
        raise ValueError(f"{place.path} has no resized video: jobs/resize.py makes them")
    return plan


def _extract(index: int, root: Root, place: Root, arguments: Arguments) -> None:
    """Make one shard of every modality; a video counts once for each of them."""
    plans = {m: read_plan(place.plans / f"{m}.csv") for m in arguments.modalities}
    shards = {m: plan[index] for m, plan in plans.items() if index < len(plan)}
    label = f"extract {place.path.name}, shard {index}"
    with shard_under_way(label, sum(map(len, shards.values()))) as (progress, stop):
        for modality, video_ids in shards.items():
            path = _shard_path(index, modality, place, arguments)
            if _is_made(path):
                progress.skip(len(video_ids))
                continue
            source = _source(modality, root, place, arguments)
            extract_shard(path, video_ids, source, progress=progress, stop=stop)


def _prepare(modality: Modality, root: Root, place: Root, arguments: Arguments) -> None:
    """Miss what is missing now, and make what all tasks share once, not in each of them."""
    if modality == "text":
        word_table(find_word_vectors(arguments.word_vectors, root.weights), place.store)
    else:
        _source(modality, root, place, arguments)


def _source(modality: Modality, root: Root, place: Root, arguments: Arguments) -> RecordSource:
    if modality == "text":
        vectors = find_word_vectors(arguments.word_vectors, root.weights)
        return text_source(captions_of(place), place, word_vectors=vectors)
    if modality == "audio":
        network, weights = arguments.audio_network, arguments.audio_weights
        if network == "logmel":
            return log_mel_source(place)
        return audio_source(root, place, network=network, weights=weights)
    return video_source(root, place, backbone=arguments.backbone, weights=arguments.weights)


def _shard_path(index: int, modality: Modality, place: Root, arguments: Arguments) -> Path:
    return place.store / _store_name(modality, arguments) / f"{index:05d}{SEALED_SUFFIX}"


def _is_made(shard: Path) -> bool:
    return is_sealed(shard) or is_merged(shard)


def _store_name(modality: Modality, arguments: Arguments) -> str:
    names = {
        "video": arguments.backbone,
        "audio": arguments.audio_network,
        "text": "word2vec",
    }
    return f"{modality}-{names[modality]}"


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
