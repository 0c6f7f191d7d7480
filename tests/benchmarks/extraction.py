"""From files to a sealed shard of ResNet-152 features, beside the bare forward pass.

Both see the same frames in the same batches. What the first takes longer is what decoding, scaling
and writing cost that could not be done beside the network: on a processor, where they share its
cores, nearly all of it; with a GPU, nothing as long as enough files are decoded at once.
"""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from extractors.corpus import ResizedVideos
from extractors.extract import extract_shard
from extractors.resize import ResizeConfig, resize_video
from extractors.video import VideoExtractor, draw_backbone, frames_of
from extractors.video_records import VideoRecords
from extractors.weights import Weights
from mcn.progress import Progress
from mcn.stop import StopRequest
from mcn.store.shard import open_shard
from tests.benchmarks.film import lengthen, write_film
from tests.benchmarks.result import Result, rates, rates_per_core_second
from tests.benchmarks.timing import take_turns


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many videos of which length."""

    film_seconds: int
    times: int
    videos: int
    rounds: int
    backbone: str


FULL = Size(film_seconds=8, times=3, videos=4, rounds=3, backbone="resnet152")
QUICK = Size(film_seconds=2, times=2, videos=2, rounds=2, backbone="resnet18")


def measure(*, quick: bool) -> list[Result]:
    """Frames per second of wall time and of processor time."""
    size = QUICK if quick else FULL
    with TemporaryDirectory() as name:
        folder = Path(name)
        videos = _videos(size, folder)
        torch.manual_seed(0)
        extractor = VideoExtractor(draw_backbone(size.backbone))
        frames = torch.cat([frames_of(videos.path(video_id)) for video_id in videos.seconds])
        shards = (folder / "store" / f"{number:05d}.h5" for number in itertools.count())
        source = VideoRecords(videos, extractor, Weights(Path(), "0" * 64, ""), name="bench")
        contenders: dict[str, Callable[[], object]] = {
            "extract_shard": lambda: _extract(next(shards), source),
            "bare forward": partial(_forward, extractor, frames),
        }
        timings = take_turns(contenders, rounds=size.rounds)
        sealed = open_shard(folder / "store" / "00000.h5")
        assert sealed.index["num_rows"].sum() == len(frames)
    measured = (
        f"{size.backbone}, {size.videos} made-up films of {size.film_seconds * size.times} s in "
        f"the standard form, {len(frames)} frames in batches of {extractor.batch_size}, "
        f"{extractor.device.type}, {str(extractor.dtype).removeprefix('torch.')}, "
        f"{torch.get_num_threads()} threads of torch's, one file decoded at a time; "
        f"{size.rounds} rounds"
    )
    by_wall = rates(timings, amount=len(frames), unit="frames/s")
    by_core = rates_per_core_second(timings, amount=len(frames), unit="frames/core-s")
    return [
        Result(title="extraction, wall time", measured=measured, rows=by_wall),
        Result(title="extraction, CPU time", measured=measured, rows=by_core),
    ]


def _videos(size: Size, folder: Path) -> ResizedVideos:
    film = write_film(folder / "film.mp4", seconds=size.film_seconds)
    resize_video(film, folder / "resized.mp4", ResizeConfig())
    names = [f"video{number}" for number in range(size.videos)]
    lengthen(folder / "resized.mp4", folder / f"{names[0]}.mp4", times=size.times)
    for name in names[1:]:
        shutil.copy(folder / f"{names[0]}.mp4", folder / f"{name}.mp4")
    seconds = float(size.film_seconds * size.times)
    return ResizedVideos(
        folder,
        {},
        completeness=dict.fromkeys(names, 1.0),
        seconds=dict.fromkeys(names, seconds),
    )


def _extract(path: Path, source: VideoRecords) -> None:
    video_ids = list(source.videos.seconds)
    with Progress("", total=len(video_ids), unit="videos", is_shown=False) as progress:
        extract_shard(path, video_ids, source, progress=progress, stop=StopRequest())


def _forward(extractor: VideoExtractor, frames: Tensor) -> list[Tensor]:
    """All rows on the CPU; a batch is fetched when the next has been started."""
    rows: list[Tensor] = []
    running: Tensor | None = None
    for batch in frames.split(extractor.batch_size):
        started = extractor(batch)
        if running is not None:
            rows.append(running.cpu())
        running = started
    assert running is not None
    return [*rows, running.cpu()]
