"""Features into the store: `python jobs/extract.py --array 0-899`."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from extractors.corpus import captions_of, resize_ledger
from extractors.estimate import Estimate
from extractors.extract_config import TEXT_STORE, ExtractConfig
from extractors.loads import (
    extract_loads,
    extract_rate,
    resized_bytes_per_second,
    row_bytes_per_second,
)
from extractors.room import check_room
from extractors.sandbox import SandboxLimits
from jobs.command import run_command
from jobs.costs import cost_of, print_cost, same_options
from jobs.extract_plan import ModalityPlan, Shards, bytes_in_journals, left_to_make
from jobs.shards import launch_shards, shards_asked_for, step_of
from mcn.data.failure_class import Retry
from mcn.data.ledger_columns import read_columns
from mcn.data.probe_folder import has_labels, modalities_there
from mcn.modality import MODALITIES, Modality
from mcn.root import Root
from slurm.environment import current_task
from slurm.launch import Step, Target
from slurm.resources import site_resources

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
    extract: OmitArgPrefixes[ExtractConfig] = field(default_factory=ExtractConfig)
    retry: Retry | None = None
    """Try again, in new shards, the videos of sealed ones that have failed so; the shards in which
    videos wait to be tried again are worked on whatever --array names."""
    plan: bool = False
    """Print what it will cost: terabytes, files, core-hours, GPU-hours, wall time; and submit
    nothing."""
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
        if self.decoders is not None and self.decoders < 1:
            raise ValueError(f"decoders {self.decoders} must be 1 or more")


def main(arguments: Arguments) -> None:
    """Plan what is new, and bring the shards that are not done to where they are extracted."""
    root = Root.resolve(arguments.root)
    place = root.benchmark(arguments.benchmark) if arguments.benchmark else root
    asked_for = arguments.extract
    arguments = replace(arguments, extract=_there(place, asked_for))
    task = current_task()
    if task is not None:
        _task(task.index, root, place, arguments)
        return
    if arguments.extract != asked_for:
        print(f"{place.path.name}: {' and '.join(arguments.extract.modalities)} alone, by default")
    frames = _frames(place)
    plans = {
        modality: _plan(modality, frames, place, arguments)
        for modality in arguments.extract.modalities
    }
    step = step_of(root, "extract", arguments.benchmark)
    num_shards = max(len(plan.shards) for plan in plans.values())
    asked, max_running = shards_asked_for(arguments.array, num_shards, step)
    if arguments.retry is not None:  # whose shards come behind those that a user knows
        stores = arguments.extract.stores.items()
        waiting = (plans[m].waiting(store, place) for store, m in stores)
        asked = sorted({*asked}.union(*waiting))
    shards_of = {store: plans[m].of_store(store) for store, m in arguments.extract.stores.items()}
    left_of = {s: left_to_make(s, shards, asked, place) for s, shards in shards_of.items()}
    left = [index for index in asked if any(index in of for of in left_of.values())]
    cost = _cost(step, shards_of, left_of, max_running, frames, place, arguments)
    if arguments.plan:
        print_cost(step.folder.path.name, cost)
        return
    if not arguments.target.dry_run:
        for modality, plan in plans.items():
            plan.keep(place, modality)
        num_bytes = max(0.0, cost.bytes_written - bytes_in_journals(left_of, place))
        check_room(place.store, num_bytes=num_bytes, num_files=cost.num_files)
    if left and arguments.target.leaves_submission:
        cost.write(step.folder.path)
    if left:
        _prepare(root, place, arguments)
    launch_shards(
        step,
        "extract",
        asked,
        left,
        arguments.target,
        max_running=max_running,
        here=lambda index: _task(index, root, place, arguments),
    )


def _there(place: Root, config: ExtractConfig) -> ExtractConfig:
    """What is asked for; by default all modalities, of a benchmark of classes those it has.

    Raises:
        ValueError: Text alone, or with another, is asked for of such a benchmark.
    """
    if not has_labels(place.path):
        return config
    if config.modalities == MODALITIES:
        return replace(config, modalities=modalities_there(place.path))
    if "text" in config.modalities:
        raise ValueError(f"{place.path} has no captions: leave text out of --modalities")
    return config


def _frames(place: Root) -> dict[str, float]:
    """Of each resized video; one that is sound alone counts as if it had a picture."""
    columns = read_columns(resize_ledger(place))
    frames: dict[str, float] = columns.by_id("num_frames")
    without = [video_id for video_id, number in frames.items() if not number]
    if without:
        seconds = columns.by_id("seconds")
        frames.update((video_id, seconds[video_id] * FRAMES_PER_SECOND) for video_id in without)
    return frames


def _plan(
    modality: Modality, frames: Mapping[str, float], place: Root, arguments: Arguments
) -> ModalityPlan:
    """The plan so far, with shards for what is new and for what is to be tried again."""
    costs: Mapping[str, float] = frames
    if modality == "text":
        costs = {video_id: len(captions) for video_id, captions in captions_of(place).items()}
    per_shard = arguments.videos_per_shard
    plan = ModalityPlan.read(place, modality).with_new_videos(costs, videos_per_shard=per_shard)
    if not plan.shards:
        raise ValueError(f"{place.path} has no resized video: jobs/resize.py makes them")
    if arguments.retry is not None:
        for store in (s for s, m in arguments.extract.stores.items() if m == modality):
            plan = plan.with_videos_again(
                store, place, arguments.retry, costs, videos_per_shard=per_shard
            )
    return plan


def _cost(
    step: Step,
    shards_of: Mapping[str, Shards],
    left_of: Mapping[str, Set[int]],
    max_running: int | None,
    frames: Mapping[str, float],
    place: Root,
    arguments: Arguments,
) -> Estimate:
    """Of video and sound; captions cost next to nothing, and count as tasks alone."""
    resources, stores = arguments.target.resources, arguments.extract.stores
    of_media = [store for store in stores if store != TEXT_STORE]
    seconds = {
        store: {
            index: sum(frames.get(video_id, 0) for video_id in videos) / FRAMES_PER_SECOND
            if store != TEXT_STORE
            else 0.0
            for index, videos in shards.items()
        }
        for store, shards in shards_of.items()
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
        is_alike=same_options(
            Arguments, lambda earlier: _there(place, earlier.extract).stores == stores
        ),
        is_telling=lambda earlier: not earlier.num_skipped,  # else it made some of the stores
        default=extract_rate(
            of_media,
            cpus_per_task=resources.cpus_per_task,
            gpus_per_task=resources.gpus_per_task,
        ),
    )


def _task(index: int, root: Root, place: Root, arguments: Arguments) -> None:
    from jobs.extract_task import extract_shards  # which planning 900 tasks does without

    extract_shards(
        index,
        root,
        place,
        arguments.extract,
        num_gpus=arguments.target.resources.gpus_per_task,
        decoders=arguments.decoders,
        limits=arguments.sandbox,
    )


def _prepare(root: Root, place: Root, arguments: Arguments) -> None:
    from jobs.extract_task import prepare  # as above

    prepare(root, place, arguments.extract)


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
