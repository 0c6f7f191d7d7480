"""Features into the store: `python jobs/extract.py --array 0-899`."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.audio import ROWS_PER_SECOND
from extractors.audio_records import DIM
from extractors.corpus import captions_of, resize_ledger
from extractors.estimate import Estimate
from extractors.extract import RecordSource, extract_shard
from extractors.loads import extract_loads, extract_rate, resized_bytes_per_second
from extractors.plan import (
    Plan,
    keep_plan,
    last_shards,
    planned,
    read_plan,
    shards_again,
    with_new_videos,
    with_videos_again,
)
from extractors.room import check_room, full_disk_explained
from extractors.sources import audio_source, text_source, video_source
from extractors.words import find_word_vectors
from jobs.command import run_command
from jobs.costs import cost_of, print_cost, same_options
from jobs.shards import launch_shards, shard_under_way, shards_asked_for, step_of
from mcn.data.failure_class import MOST_POISON_ATTEMPTS, Retry, class_of, is_due
from mcn.data.ledger_columns import read_columns
from mcn.modality import MODALITIES, Modality
from mcn.root import Root
from mcn.store.layout import SEALED_SUFFIX, is_sealed
from mcn.store.outcomes import StoreOutcomes
from mcn.store.upkeep.merged import is_merged
from slurm.environment import current_task
from slurm.launch import Step, Target
from slurm.resources import site_resources

FRAMES_PER_SECOND = 30.0
"""Of a resized video, as far as an estimate is concerned."""
ROW_BYTES_PER_SECOND: dict[Modality, float] = {
    "video": 2048 * 2,
    "audio": ROWS_PER_SECOND * DIM * 2,
}
"""Of features in float16; of another backbone than a ResNet, what those of ResNet-152 take."""


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
    audio_network: Literal["davenet", "resdavenet"] = "davenet"
    """Network of the audio features: of ECCV 2018, or the residual one that MCN trains."""
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
    frames: dict[str, int] = read_columns(resize_ledger(place)).by_id("num_frames")
    plans = {m: _plan(m, frames, place, arguments) for m in arguments.modalities}
    num_shards = max(map(len, plans.values()))
    step = step_of(root, "extract", arguments.benchmark)
    asked, max_running = shards_asked_for(arguments.array, num_shards, step)
    left_of = {m: _left(m, plan, asked, place, arguments) for m, plan in plans.items()}
    left = [index for index in asked if any(index in of for of in left_of.values())]
    cost = _cost(step, plans, left_of, max_running, frames, place, arguments)
    if arguments.plan:
        print_cost(step.folder.path.name, cost)
        return
    check_room(place.store, num_bytes=cost.bytes_written, num_files=cost.num_files)
    if left and not arguments.target.dry_run:
        cost.write(step.folder.path)
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


def _plan(modality: Modality, frames: Mapping[str, int], place: Root, arguments: Arguments) -> Plan:
    costs = frames if modality != "text" else _num_captions(place)
    path, per_shard = place.plans / f"{modality}.csv", arguments.videos_per_shard
    plan = with_new_videos(planned(path), costs, videos_per_shard=per_shard)
    if not plan:
        raise ValueError(f"{place.path} has no resized video: jobs/resize.py makes them")
    again: dict[int, str] = {}
    if arguments.retry is not None:
        failed = _to_try_again(modality, plan, place, arguments)
        their_costs = {video_id: costs[video_id] for video_id in failed if video_id in costs}
        num_before = len(plan)
        plan = with_videos_again(plan, their_costs, videos_per_shard=per_shard)
        store = _store_name(modality, arguments)
        again = dict.fromkeys(range(num_before, len(plan)), store)
    if not arguments.plan:
        keep_plan(path, plan, again)
    return plan


def _cost(
    step: Step,
    plans: Mapping[Modality, Plan],
    left_of: Mapping[Modality, Set[int]],
    max_running: int | None,
    frames: Mapping[str, int],
    place: Root,
    arguments: Arguments,
) -> Estimate:
    """Of video and sound; captions cost next to nothing."""
    resources = arguments.target.resources
    media: dict[Modality, list[float]] = {
        modality: [sum(frames.get(v, 0) for v in shard) / FRAMES_PER_SECOND for shard in plan]
        for modality, plan in plans.items()
        if modality != "text"
    }
    return cost_of(
        step,
        extract_loads(
            {
                modality: {index: seconds[index] for index in left_of[modality]}
                for modality, seconds in media.items()
            },
            bytes_per_second=resized_bytes_per_second(place.resized, frames, FRAMES_PER_SECOND),
            row_bytes_per_second=ROW_BYTES_PER_SECOND,
        ),
        dict(enumerate(map(sum, zip_longest(*media.values(), fillvalue=0.0)))),
        arguments.target,
        max_running=max_running,
        is_alike=same_options(
            Arguments,
            lambda earlier: all(
                getattr(earlier, name) == getattr(arguments, name)
                for name in ("modalities", "backbone", "audio_network")
            ),
        ),
        default=extract_rate(
            [_store_name(modality, arguments) for modality in media],
            cpus_per_task=resources.cpus_per_task,
            gpus_per_task=resources.gpus_per_task,
        ),
    )


def _left(
    modality: Modality, plan: Plan, asked: Sequence[int], place: Root, arguments: Arguments
) -> set[int]:
    """The shards that the store is to have, and has not."""
    others = _others(modality, place, arguments)
    return {
        index
        for index in asked
        if index < len(plan)
        and index not in others
        and not _is_made(_shard_path(index, modality, place, arguments))
    }


def _to_try_again(modality: Modality, plan: Plan, place: Root, arguments: Arguments) -> list[str]:
    """The videos that failed as the user names it, but those that wait in a shard already."""
    failed = StoreOutcomes.of(place.store / _store_name(modality, arguments)).failed
    last = last_shards(plan, _others(modality, place, arguments))
    return [
        video_id
        for video_id, failure in failed.items()
        if is_due(class_of(failure.reason), MOST_POISON_ATTEMPTS, arguments.retry)
        and video_id in last
        and _is_made(_shard_path(last[video_id], modality, place, arguments))
    ]


def _num_captions(place: Root) -> dict[str, int]:
    return {video_id: len(captions) for video_id, captions in captions_of(place).items()}


def _extract(index: int, root: Root, place: Root, arguments: Arguments) -> None:
    """Make one shard of every modality; a video counts once for each of them."""
    plans = {m: read_plan(place.plans / f"{m}.csv") for m in arguments.modalities}
    shards = {
        m: plan[index]
        for m, plan in plans.items()
        if index < len(plan) and index not in _others(m, place, arguments)
    }
    label = f"extract {place.path.name}, shard {index}"
    with (
        full_disk_explained(place.store),
        shard_under_way(label, sum(map(len, shards.values()))) as (progress, stop),
    ):
        for modality, video_ids in shards.items():
            path = _shard_path(index, modality, place, arguments)
            if _is_made(path):
                progress.skip(len(video_ids))
                continue
            source = _source(modality, root, place, arguments)
            extract_shard(path, video_ids, source, progress=progress, stop=stop)


def _prepare(modality: Modality, root: Root, place: Root, arguments: Arguments) -> None:
    """Miss what is missing now, and draw random weights once, not in each of many tasks."""
    if modality == "text":
        find_word_vectors(arguments.word_vectors, root.weights)
    else:
        _source(modality, root, place, arguments)


def _source(modality: Modality, root: Root, place: Root, arguments: Arguments) -> RecordSource:
    if modality == "text":
        vectors = find_word_vectors(arguments.word_vectors, root.weights)
        return text_source(captions_of(place), word_vectors=vectors)
    if modality == "audio":
        network, weights = arguments.audio_network, arguments.audio_weights
        return audio_source(root, place, network=network, weights=weights)
    return video_source(root, place, backbone=arguments.backbone, weights=arguments.weights)


def _shard_path(index: int, modality: Modality, place: Root, arguments: Arguments) -> Path:
    return place.store / _store_name(modality, arguments) / f"{index:05d}{SEALED_SUFFIX}"


def _others(modality: Modality, place: Root, arguments: Arguments) -> set[int]:
    """The shards in which other stores try videos again."""
    store = _store_name(modality, arguments)
    again = shards_again(place.plans / f"{modality}.csv").items()
    return {index for index, owner in again if owner != store}


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
