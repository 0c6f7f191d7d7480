"""Features into the store: `python jobs/extract.py --array 0-899`."""

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import captions_of, resize_ledger
from extractors.estimate import Estimate
from extractors.extract import ShardToFill, extract_shard, fill_shards
from extractors.loads import (
    extract_loads,
    extract_rate,
    resized_bytes_per_second,
    row_bytes_per_second,
)
from extractors.one_pass import Decoding, MediaSource, records_in_one_pass
from extractors.room import check_room, full_disk_explained
from extractors.sandbox import SandboxLimits
from extractors.sources import (
    audio_source,
    clip_source,
    log_mel_source,
    text_source,
    video_source,
)
from extractors.words import find_word_vectors, word_table
from jobs.command import run_command
from jobs.costs import cost_of, print_cost, same_options
from jobs.extract_plan import ModalityPlan, Shards, is_made, left_to_make, shard_path
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.data.failure_class import Retry
from mcn.data.ledger_columns import read_columns
from mcn.modality import MODALITIES, Modality
from mcn.root import Root
from slurm.environment import current_task
from slurm.launch import Step, Target
from slurm.resources import site_resources

TEXT_STORE = "text-word2vec"
FRAMES_PER_SECOND = 30.0
"""Of a resized video, as far as an estimate is concerned."""


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
    audio_network: Literal["davenet", "resdavenet", "logmel"] = "davenet"
    """Network of the audio features: of ECCV 2018, or the residual one that MCN trains. logmel has
    none and stores the log-mel spectrograms, on which jobs/train.py --audio-encoder trains one."""
    audio_weights: str | None = None
    """Weights of the audio network: random:SEED, or a file; by default weights/NETWORK.pth below
    the root."""
    word_vectors: Path | None = None
    """Word vectors in word2vec's binary format; by default
    weights/GoogleNews-vectors-negative300.bin below the root."""
    retry: Retry | None = None
    """Try again, in new shards, the videos of sealed ones that have failed so."""
    plan: bool = False
    """Print what it will cost: terabytes, files, core-hours, GPU-hours, wall time; and submit
    nothing."""
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

    @property
    def stores(self) -> dict[str, Modality]:
        """The stores that are asked for, each with the modality whose plan it follows."""
        names: dict[Modality, list[str | None]] = {
            "video": [self.backbone, self.backbone_3d],
            "audio": [self.audio_network],
            "text": ["word2vec"],
        }
        return {
            f"{modality}-{name}": modality
            for modality in self.modalities
            for name in names[modality]
            if name is not None
        }


def main(arguments: Arguments) -> None:
    """Plan what is new, and bring the shards that are not done to where they are extracted."""
    root = Root.resolve(arguments.root)
    place = root.benchmark(arguments.benchmark) if arguments.benchmark else root
    task = current_task()
    if task is not None:
        _extract(task.index, root, place, arguments)
        return
    frames: dict[str, int] = read_columns(resize_ledger(place)).by_id("num_frames")
    plans = {
        modality: _plan(modality, frames, place, arguments) for modality in arguments.modalities
    }
    step = step_of(root, "extract", arguments.benchmark)
    num_shards = max(len(plan.shards) for plan in plans.values())
    asked, max_running = shards_asked_for(arguments.array, num_shards, step)
    shards_of = {store: plans[m].of_store(store) for store, m in arguments.stores.items()}
    left_of = {s: left_to_make(s, shards, asked, place) for s, shards in shards_of.items()}
    left = [index for index in asked if any(index in of for of in left_of.values())]
    cost = _cost(step, shards_of, left_of, max_running, frames, place, arguments)
    if arguments.plan:
        print_cost(step.folder.path.name, cost)
        return
    for modality, plan in plans.items():
        plan.keep(place, modality)
    check_room(place.store, num_bytes=cost.bytes_written, num_files=cost.num_files)
    if left and not arguments.target.dry_run:
        cost.write(step.folder.path)
    if left:
        for store in arguments.stores:
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


def _plan(
    modality: Modality, frames: Mapping[str, int], place: Root, arguments: Arguments
) -> ModalityPlan:
    """The plan so far, with shards for what is new and for what is to be tried again."""
    costs = frames
    if modality == "text":
        costs = {video_id: len(captions) for video_id, captions in captions_of(place).items()}
    per_shard = arguments.videos_per_shard
    plan = ModalityPlan.read(place, modality).with_new_videos(costs, videos_per_shard=per_shard)
    if not plan.shards:
        raise ValueError(f"{place.path} has no resized video: jobs/resize.py makes them")
    if arguments.retry is not None:
        for store in (s for s, m in arguments.stores.items() if m == modality):
            plan = plan.with_videos_again(
                store, place, arguments.retry, costs, videos_per_shard=per_shard
            )
    return plan


def _cost(
    step: Step,
    shards_of: Mapping[str, Shards],
    left_of: Mapping[str, Set[int]],
    max_running: int | None,
    frames: Mapping[str, int],
    place: Root,
    arguments: Arguments,
) -> Estimate:
    """Of video and sound; captions cost next to nothing."""
    resources = arguments.target.resources
    seconds = {
        store: {
            index: sum(frames.get(video_id, 0) for video_id in videos) / FRAMES_PER_SECOND
            for index, videos in shards.items()
        }
        for store, shards in shards_of.items()
        if store != TEXT_STORE
    }
    indices = {index for shards in seconds.values() for index in shards}
    return cost_of(
        step,
        extract_loads(
            {store: {i: seconds[store][i] for i in left_of[store]} for store in seconds},
            bytes_per_second=resized_bytes_per_second(place.resized, frames, FRAMES_PER_SECOND),
            row_bytes_per_second={store: row_bytes_per_second(store) for store in seconds},
        ),
        {i: sum(shards.get(i, 0.0) for shards in seconds.values()) for i in indices},
        arguments.target,
        max_running=max_running,
        is_alike=same_options(Arguments, lambda earlier: earlier.stores == arguments.stores),
        default=extract_rate(
            list(seconds),
            cpus_per_task=resources.cpus_per_task,
            gpus_per_task=resources.gpus_per_task,
        ),
    )


def _extract(index: int, root: Root, place: Root, arguments: Arguments) -> None:
    """Make one shard of every store; a video counts once for each of them."""
    plans = {modality: ModalityPlan.read(place, modality) for modality in arguments.modalities}
    shards_of = {store: plans[m].of_store(store) for store, m in arguments.stores.items()}
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
            source = text_source(captions_of(place), place, word_vectors=vectors)
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
    """Miss what is missing now, and make what all tasks share once, not in each of them."""
    if store == TEXT_STORE:
        word_table(find_word_vectors(arguments.word_vectors, root.weights), place.store)
    else:
        _media_source(store, root, place, arguments)


def _media_source(store: str, root: Root, place: Root, arguments: Arguments) -> MediaSource:
    """What makes the records of a store from media files."""
    modality, _, network = store.partition("-")
    min_complete = arguments.min_complete
    if network == "logmel":
        return log_mel_source(place, min_complete=min_complete)
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


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
