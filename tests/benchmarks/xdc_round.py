"""Where the time of a round of XDC goes: features and clusters of all clips, and then its steps.

Measured are one extraction, one clustering and a few steps; a round has as many steps as its clips
and epochs make. Extraction, reading included, is a part of its own: clustering is what then becomes
of the features on rank 0, from whitening to the agreement of the clusters. From raw clips there are
so few that only the shares of what goes clip by clip say something.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from extractors.corpus import ResizedVideos
from extractors.raw_clips import RawClips
from extractors.resize import ResizeConfig, resize_video
from mcn.clustering.engines import ENGINES
from mcn.data.clip_source import ClipSource, cut_evenly
from mcn.data.media_reader import MediaReader
from mcn.data.picture_form import PictureForm
from mcn.data.stored_clips import clips_with_both
from mcn.data.stores import WITHOUT_WORDS, open_stores
from mcn.models.xdc import Xdc, XdcDims
from mcn.training.loader import read_ahead, workers_for
from mcn.training.stepper import Stepper
from mcn.training.unread import UnreadVideos
from mcn.training.xdc.clustering import Labels, agreement, cluster_all
from mcn.training.xdc.config import XdcConfig
from mcn.training.xdc.draws import DrawnBatches, Draws
from mcn.training.xdc.extraction import CLIPS_AT_ONCE, Extraction
from mcn.training.xdc.kept_features import KeptFeatures
from mcn.training.xdc.learner import XdcLearner
from mcn.training.xdc.numbered import NumberedClips
from tests.benchmarks.film import write_film
from tests.benchmarks.result import Result, Row
from tests.benchmarks.stopwatch import Methods, Stopwatch
from tests.benchmarks.training_corpus import FEATURES, write_training_stores


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is clustered and learnt."""

    config: XdcConfig
    num_videos: int
    num_steps: int
    """That are measured, after one that warms up."""


FULL = (
    Size(config=XdcConfig(clips_per_video=27), num_videos=64, num_steps=3),
    Size(
        config=XdcConfig(
            inputs="clips", clip_seconds=2.0, clips_per_video=4, batch_size=2, clusters=2
        ),
        num_videos=1,
        num_steps=1,
    ),
)
QUICK = (
    Size(
        config=XdcConfig(clusters=8, hidden_dim=64, out_dim=16, pca_dim=16, batch_size=16),
        num_videos=4,
        num_steps=1,
    ),
    Size(
        config=XdcConfig(
            inputs="clips",
            clip_seconds=2.0,
            clips_per_video=2,
            clip_frames=2,
            picture_height=32,
            picture_width=40,
            picture_crop=32,
            batch_size=2,
            clusters=2,
        ),
        num_videos=1,
        num_steps=1,
    ),
)
"""From stored features, and from raw clips."""

FILM_SECONDS = 20

PARTS: dict[str, Methods] = {
    "forward": [(Stepper, "_encode")],
    "loss": [(XdcLearner, "look"), (XdcLearner, "terms")],
    "backward": [(torch.Tensor, "backward")],
    "guard": [(Stepper, "_measure")],
    "optimiser": [(torch.optim.AdamW, "step")],
}
WAITING, ALL_ELSE = "waiting for data", "all else"
EXTRACTION, CLUSTERING = "features of all", "clustering"


def measure(*, quick: bool) -> list[Result]:
    """Seconds of a round by part, from stored features and from raw clips."""
    results = []
    for size in QUICK if quick else FULL:
        with TemporaryDirectory() as name:
            results.append(_measure(size, Path(name)))
    return results


def _measure(size: Size, folder: Path) -> Result:
    config = size.config
    pictures = config.pictures
    source = _stored(size, folder) if pictures is None else _raw(size, pictures, folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dims = XdcDims(
        video=source.dims["video"],
        audio=source.dims["audio"],
        clusters=config.clusters,
        hidden=config.hidden_dim,
        out=config.encoder_dim,
    )
    torch.manual_seed(config.seed)
    model = Xdc(dims, method=config.method, inputs=config.inputs, pictures=pictures).to(device)
    watch = Stopwatch()
    labels = _labels(config, source, model, folder / "kept", watch)
    once = watch.reset()
    num_clips = len(source.places)
    num_steps = config.epochs_per_round * -(-num_clips // config.batch_size)
    of_step = _seconds_of_step(size, source, model, labels, watch)
    seconds = {**once, **{part: num_steps * value for part, value in of_step.items()}}
    total = sum(seconds.values())
    return Result(
        title=f"round of {config.model_name} from {config.inputs}, {total:.3g} s",
        measured=f"{num_clips:,} clips, {config.clusters} clusters, {num_steps} steps of "
        f"{config.batch_size} clips, {sum(of_step.values()):.3g} s each, of which {size.num_steps} "
        f"were measured; {device.type}, {torch.get_num_threads()} threads, "
        f"{_workers(source, config.batch_size)} reading ahead",
        rows=[
            Row(name=part, value=value, unit="s", note=f"{value / total:.1%} of the round")
            for part, value in seconds.items()
        ],
    )


def _stored(size: Size, folder: Path) -> ClipSource:
    write_training_stores(folder, num_videos=size.num_videos)
    return clips_with_both(
        MediaReader(open_stores(folder, FEATURES, sources=WITHOUT_WORDS)),
        clip_seconds=size.config.clip_seconds,
        most_per_video=size.config.clips_per_video,
    )


def _raw(size: Size, pictures: PictureForm, folder: Path) -> ClipSource:
    film = write_film(folder / "film.mkv", seconds=FILM_SECONDS)
    seconds = {f"video{number}": float(FILM_SECONDS) for number in range(size.num_videos)}
    for video_id in seconds:
        resize_video(film, folder / f"{video_id}.mp4", ResizeConfig())
    rule: dict[str, str | int | float] = {"sample_rate": 16_000}
    places = cut_evenly(
        seconds.items(),
        clip_seconds=size.config.clip_seconds,
        most_per_video=size.config.clips_per_video,
    )
    videos = ResizedVideos(folder, rule, completeness={}, seconds=seconds)
    return RawClips(videos, places, pictures)


def _labels(
    config: XdcConfig, source: ClipSource, model: Xdc, kept: Path, watch: Stopwatch
) -> Labels:
    """Of all clips, by the encoders as they are at first."""
    device = next(model.parameters()).device
    clips_at_once = CLIPS_AT_ONCE[config.inputs]
    extraction = Extraction(
        source=source,
        kept=KeptFeatures(kept, {}),
        device=device,
        precision=config.precision,
        clips_at_once=clips_at_once,
        workers=_workers(source, clips_at_once),
        group=None,
        unread=UnreadVideos(),
        most_unread_percent=0.0,
    )
    with watch.during(EXTRACTION):
        whole = extraction(model, go_on=lambda done, total: True)
    assert whole is not None
    with watch.during(CLUSTERING):
        labels, _ = cluster_all(config, whole.features, 0, device, ENGINES[config.kmeans_engine])
        agreement(labels, labels, torch.full((len(source.places),), -1))
    return labels


def _seconds_of_step(
    size: Size, source: ClipSource, model: Xdc, labels: Labels, watch: Stopwatch
) -> dict[str, float]:
    config = size.config
    device = next(model.parameters()).device
    learner = XdcLearner(model, device)
    draws = Draws(
        config.terms, labels, seed=config.seed, round_number=0, batch_size=config.batch_size
    )
    learner.learn_from(labels, draws)
    stepper = Stepper(
        model,
        learner,
        torch.optim.AdamW(
            model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        ),
        precision=config.precision,
        any_batch=NumberedClips.of(source.read([0]), [0]),
    )
    steps = range(1 + size.num_steps)
    workers = _workers(source, config.batch_size)
    batches = DrawnBatches(source, draws)
    found = []
    with (
        watch.watching(PARTS),
        read_ahead(batches, steps, workers=workers, device=device) as read,
    ):
        for _ in steps:
            with watch.during(WAITING):
                batch = next(read)
            with watch.during(ALL_ELSE):
                stepper.take(batch.to(device), config.lr)
            found.append(watch.reset())
    parts = (WAITING, *PARTS, ALL_ELSE)
    return {part: median(step.get(part, 0.0) for step in found[1:]) for part in parts}


def _workers(source: ClipSource, num_clips: int) -> int:
    return workers_for(num_clips * source.read([0]).num_bytes)
