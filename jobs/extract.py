"""Features into the store: `python jobs/extract.py --array 0-899`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from extractors.corpus import captions_of, resized_videos
from extractors.extract import RecordSource, extract_shard
from extractors.plan import extend_plan
from extractors.sources import audio_source, text_source, video_source
from jobs.command import run_command, shards_asked_for
from mcn.modality import MODALITIES, Modality
from mcn.progress import Progress
from mcn.root import Root
from mcn.store.layout import SEALED_SUFFIX, is_sealed


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Extract the features that the store still lacks; run it again to carry on."""

    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    benchmark: str | None = None
    """Work on this benchmark's videos instead of the training videos."""
    array: str | None = None
    """Shards to work on, as SLURM writes them: 0-899, or 3,7,20-29. By default all."""
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
    videos_per_shard: int = 1000
    """Mean number of videos in a shard, when new videos are planned."""


def main(arguments: Arguments) -> None:
    """Extract the shards asked for, here, one modality after the other."""
    root = Root.resolve(arguments.root)
    place = root.benchmark(arguments.benchmark) if arguments.benchmark else root
    for modality in arguments.modalities:
        _extract(modality, root, place, arguments)


def _extract(modality: Modality, root: Root, place: Root, arguments: Arguments) -> None:
    """Plan what is new of one modality, and make the shards asked for that are not sealed."""
    captions = captions_of(place) if modality == "text" else {}
    resized = resized_videos(place)
    costs = (
        {video_id: float(len(lines)) for video_id, lines in captions.items()}
        if modality == "text"
        else {video_id: float(outcome.num_frames) for video_id, outcome in resized.items()}
    )
    plan_path = place.plans / f"{modality}.csv"
    plan = extend_plan(plan_path, costs, videos_per_shard=arguments.videos_per_shard)
    if not plan:
        raise ValueError(f"{place.path} has no resized video: jobs/resize.py makes them")
    folder = place.store / _store_name(modality, arguments)
    shards = shards_asked_for(arguments.array, len(plan))
    paths = {index: folder / f"{index:05d}{SEALED_SUFFIX}" for index in shards}
    open_shards = [index for index in shards if not is_sealed(paths[index])]
    label = f"{folder.name} of {place.path.name}"
    if not open_shards:
        print(f"{label}: nothing left to extract in {len(shards)} shards")
        return
    source: RecordSource
    if modality == "text":
        source = text_source(root, captions, word_vectors=arguments.word_vectors)
    elif modality == "audio":
        source = audio_source(
            root, place, network=arguments.audio_network, weights=arguments.audio_weights
        )
    else:
        source = video_source(root, place, backbone=arguments.backbone, weights=arguments.weights)
    total = sum(len(plan[index]) for index in open_shards)
    with Progress(label, total=total, unit="videos") as progress:
        for index in open_shards:
            extract_shard(paths[index], plan[index], source, on_videos=progress.advance)


def _store_name(modality: Modality, arguments: Arguments) -> str:
    names = {
        "video": arguments.backbone,
        "audio": arguments.audio_network,
        "text": "word2vec",
    }
    return f"{modality}-{names[modality]}"


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
