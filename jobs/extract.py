"""Features into the store: `python jobs/extract.py --array 0-899`."""

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import captions_of, resized_videos
from extractors.extract import ShardToFill, extract_shard, fill_shards
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.plan import Plan, extend_plan, read_plan
from extractors.sandbox import SandboxLimits
from extractors.sources import audio_source, clip_source, text_source, video_source
from extractors.words import find_word_vectors
from jobs.command import run_command
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.modality import MODALITIES, Modality
from mcn.root import Root
from mcn.store.layout import SEALED_SUFFIX, is_sealed
from mcn.store.upkeep.merged import is_merged
from slurm.environment import current_task
from slurm.launch import Target
from slurm.resources import site_resources

TEXT_STORE = "text-word2vec"


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
    backbone_3d: str | None = None
    """Video network for features of motion, besides: any of torchvision's, as r2plus1d_18."""
    weights_3d: str = "kinetics400"
    """Weights of the video network: kinetics400, random:SEED, or a file."""
    audio_network: Literal["davenet", "resdavenet"] = "davenet"
    """Network of the audio features: of ECCV 2018, or the residual one that MCN trains."""
    audio_weights: str | None = None
    """Weights of the audio network: random:SEED, or a file; by default weights/NETWORK.pth below
    the root."""
    word_vectors: Path | None = None
    """Word vectors in word2vec's binary format; by default
    weights/GoogleNews-vectors-negative300.bin below the root."""
    min_complete: float = 0.95
    """Share that must be there of what a video's raw file promised; the others fail as truncated.
    Features of another share do not mix with these."""
    decoders: int | None = None
    """Files decoded at once in a task. By default 1; where it has a GPU, one for each core but
    that which feeds the GPU. After a kill so many are decoded again, and those in a batch."""
    sandbox: SandboxLimits = field(default_factory=SandboxLimits)
    videos_per_shard: int = 1000
    """Mean number of videos in a shard, when new videos are planned."""
    target: OmitArgPrefixes[Target] = field(
        default_factory=lambda: Target(resources=site_resources("extract", memory_gb=16))
    )

    def __post_init__(self) -> None:
        if not 0 <= self.min_complete <= 1:
            raise ValueError(f"min_complete {self.min_complete} is outside 0..1")
        if self.decoders is not None and self.decoders < 1:
            raise ValueError(f"decoders {self.decoders} must be 1 or more")


def main(arguments: Arguments) -> None:
    """Plan what is new, and bring the shards that are not done to where they are extracted."""
    root = Root.resolve(arguments.root)
    place = root.benchmark(arguments.benchmark) if arguments.benchmark else root
    task = current_task()
    if task is not None:
        _extract(task.index, root, place, arguments)
        return
    plans = {modality: _plan(modality, place, arguments) for modality in arguments.modalities}
    stores = _stores(arguments)
    num_shards = max(map(len, plans.values()))
    step = step_of(root, "extract", arguments.benchmark)
    asked, max_running = shards_asked_for(arguments.array, num_shards, step)
    left = [
        index
        for index in asked
        if any(
            index < len(plans[modality]) and not _is_made(_shard_path(index, store, place))
            for store, modality in stores.items()
        )
    ]
    if left:
        for store in stores:
            _prepare(store, root, place, arguments)
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


def _stores(arguments: Arguments) -> dict[str, Modality]:
    """The stores that are asked for, each with the modality whose plan it follows."""
    names: dict[Modality, list[str | None]] = {
        "video": [arguments.backbone, arguments.backbone_3d],
        "audio": [arguments.audio_network],
        "text": ["word2vec"],
    }
    return {
        f"{modality}-{name}": modality
        for modality in arguments.modalities
        for name in names[modality]
        if name is not None
    }


def _extract(index: int, root: Root, place: Root, arguments: Arguments) -> None:
    """Make one shard of every store; a video counts once for each of them."""
    plans = {m: read_plan(place.plans / f"{m}.csv") for m in arguments.modalities}
    planned = {
        store: plans[modality][index]
        for store, modality in _stores(arguments).items()
        if index < len(plans[modality])
    }
    label = f"extract {place.path.name}, shard {index}"
    with shard_under_way(label, sum(map(len, planned.values()))) as (progress, stop):
        to_make = {}
        for store, video_ids in planned.items():
            path = _shard_path(index, store, place)
            if _is_made(path):
                progress.skip(len(video_ids))
            else:
                to_make[store] = path
        num_decoders = _share_cores(arguments)
        of_media = [store for store in to_make if store != TEXT_STORE]
        if of_media:
            sources = [_media_source(store, root, place, arguments) for store in of_media]
            shards = [
                ShardToFill(path=to_make[store], video_ids=planned[store], source=source)
                for store, source in zip(of_media, sources, strict=True)
            ]
            decoding = Decoding(limits=arguments.sandbox, num_decoders=num_decoders)
            one_pass = partial(records_in_one_pass, sources, decoding=decoding)
            fill_shards(shards, one_pass, progress=progress, stop=stop)
        if TEXT_STORE in to_make:
            vectors = find_word_vectors(arguments.word_vectors, root.weights)
            source = text_source(captions_of(place), word_vectors=vectors)
            video_ids = planned[TEXT_STORE]
            extract_shard(to_make[TEXT_STORE], video_ids, source, progress=progress, stop=stop)


def _share_cores(arguments: Arguments) -> int:
    """How many files are decoded at once; beside a GPU torch has the cores that are left."""
    cores = len(os.sched_getaffinity(0))
    if not torch.cuda.is_available():
        return arguments.decoders or 1
    num_decoders = arguments.decoders or max(1, cores - 1)
    torch.set_num_threads(max(1, cores - num_decoders))
    return num_decoders


def _prepare(store: str, root: Root, place: Root, arguments: Arguments) -> None:
    """Miss what is missing now, and draw random weights once, not in each of many tasks."""
    if store == TEXT_STORE:
        find_word_vectors(arguments.word_vectors, root.weights)
    else:
        _media_source(store, root, place, arguments)


def _media_source(store: str, root: Root, place: Root, arguments: Arguments) -> MediaSource:
    """What makes the records of a store from media files."""
    modality, _, network = store.partition("-")
    min_complete = arguments.min_complete
    if modality == "audio":
        weights = arguments.audio_weights
        return audio_source(
            root, place, network=network, weights=weights, min_complete=min_complete
        )
    if network == arguments.backbone_3d:
        weights = arguments.weights_3d
        return clip_source(
            root, place, backbone=network, weights=weights, min_complete=min_complete
        )
    weights = arguments.weights
    return video_source(root, place, backbone=network, weights=weights, min_complete=min_complete)


def _shard_path(index: int, store: str, place: Root) -> Path:
    return place.store / store / f"{index:05d}{SEALED_SUFFIX}"


def _is_made(shard: Path) -> bool:
    return is_sealed(shard) or is_merged(shard)


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
