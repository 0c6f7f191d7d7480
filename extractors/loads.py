"""What the shards of each step ask for, and how fast that goes where no earlier task tells."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from extractors.estimate import Load, Rate
from extractors.plan import Plan

RAW_BYTES = 50.1e6
RAW_BYTES_PER_SECOND = 128_500.0
"""Of HowTo100M: 898,096 videos in 45 TB, of 390 s on average."""
RESIZED_BYTES_PER_SECOND = 125_000.0
"""About 1 Mb/s, where nothing has been resized yet."""
RESIZE_CORE_SECONDS = {"superfast": 0.079, "veryfast": 0.108, "faster": 0.163, "medium": 0.221}
"""For a second of 640x360 at 30 fps, by preset, at crf 23 (`make bench`: resize)."""
NETWORK_CORE_SECONDS = {"video-resnet152": 0.264, "audio-davenet": 0.012}
"""For a second of video, by an AMD EPYC core with bfloat16."""
ROW_BYTES_PER_SECOND: dict[str, float] = {
    "video-resnet152": 2048 * 2,
    "audio-davenet": 6.25 * 1024 * 2,
    "audio-resdavenet": 6.25 * 1024 * 2,
    "audio-logmel": 100 * 40 * 2,
}
DOWNLOAD_BYTES_PER_SECOND = 0.68e6
"""Of a task: video2dataset had 87 Mb/s from YouTube with 16 cores."""
NUM_SAMPLED = 200
UNKNOWN = "no earlier task of this kind, and nothing measured"


def raw_sizes(sources: Mapping[str, Path]) -> dict[str, float]:
    """The bytes of each raw file that is there: another task may delete some meanwhile.

    One that nobody can look at now counts as 0, so that it is tried and its failure entered.
    """
    sizes = {}
    for video_id, path in sources.items():
        try:
            sizes[video_id] = float(path.stat().st_size)
        except FileNotFoundError:
            continue
        except OSError:
            sizes[video_id] = 0.0
    return sizes


def seconds_of(sizes: Mapping[str, float], known: Mapping[str, float | None]) -> dict[str, float]:
    """The length of each raw file: as it is known, else by its size."""
    both = [(size, s) for video_id, size in sizes.items() if size and (s := known.get(video_id))]
    per_second = RAW_BYTES_PER_SECOND
    if both:
        per_second = sum(size for size, _ in both) / sum(seconds for _, seconds in both)
    return {video_id: known.get(video_id) or size / per_second for video_id, size in sizes.items()}


def resized_bytes_per_second(folder: Path, lengths: Mapping[str, float], unit: float) -> float:
    """Of some of the resized videos, whose lengths are in so many units a second."""
    some = list(lengths)[:: max(1, len(lengths) // NUM_SAMPLED)]
    sizes = {v: path.stat().st_size for v in some if (path := folder / f"{v}.mp4").exists()}
    total = sum(lengths[video_id] for video_id in sizes) / unit
    return sum(sizes.values()) / total if total else RESIZED_BYTES_PER_SECOND


def resize_loads(
    plan: Plan,
    shards: Iterable[int],
    is_left: Callable[[str], bool],
    *,
    sizes: Mapping[str, float],
    seconds: Mapping[str, float],
    bytes_per_second: float,
) -> dict[int, Load]:
    """Of the videos that are left in these shards."""
    loads = {}
    for index in shards:
        left = [v for v in plan[index] if v in sizes and is_left(v)]
        amount = sum(seconds[v] for v in left)
        loads[index] = Load(
            amount=amount,
            bytes_read=sum(sizes[v] for v in left),
            bytes_written=amount * bytes_per_second,
            num_files=len(left) + 2,
        )
    return loads


def resize_rate(preset: str, *, cpus_per_task: int) -> Rate:
    """As measured for the preset."""
    core_seconds = RESIZE_CORE_SECONDS.get(preset)
    return Rate(
        seconds=None if core_seconds is None else core_seconds / cpus_per_task,
        unit="s of video",
        source=UNKNOWN
        if core_seconds is None
        else f"not measured here: {core_seconds} core-s for 1 s of 640x360, {preset}, crf 23",
    )


def row_bytes_per_second(store: str) -> float:
    """Of features in float16, for a second of video; of unknown ones what ResNet-152's take."""
    return ROW_BYTES_PER_SECOND.get(store, ROW_BYTES_PER_SECOND["video-resnet152"])


def extract_loads(
    seconds: Mapping[str, Mapping[int, float]],
    *,
    bytes_per_second: float,
    row_bytes_per_second: Mapping[str, float],
) -> dict[int, Load]:
    """Of the shards that are left.

    Args:
        seconds: Of video in each shard that is left, by store.
        bytes_per_second: Of resized video, which is read once for all stores.
        row_bytes_per_second: Of features.
    """
    loads = {}
    for index in sorted({index for shards in seconds.values() for index in shards}):
        amounts = {m: shards[index] for m, shards in seconds.items() if index in shards}
        loads[index] = Load(
            amount=sum(amounts.values()),
            bytes_read=max(amounts.values()) * bytes_per_second,
            bytes_written=sum(row_bytes_per_second[m] * amounts[m] for m in amounts),
            num_files=len(amounts) + 2,
        )
    return loads


def extract_rate(stores: Sequence[str], *, cpus_per_task: int, gpus_per_task: int) -> Rate:
    """As measured for the networks on a processor; of GPUs nothing is known beforehand."""
    known = [NETWORK_CORE_SECONDS.get(store) for store in stores]
    seconds = None
    if not gpus_per_task and known and None not in known:
        mean = sum(each for each in known if each is not None) / len(known)
        seconds = mean / cpus_per_task
    return Rate(
        seconds=seconds,
        unit="s of video, for each store",
        source=UNKNOWN
        if seconds is None
        else f"not measured here: {', '.join(stores)} on one core of an AMD EPYC with bfloat16",
    )


def download_loads(
    plan: Plan, shards: Iterable[int], is_left: Callable[[str], bool]
) -> dict[int, Load]:
    """Of the videos that are left in these shards, of HowTo100M's mean size."""
    loads = {}
    for index in shards:
        number = sum(map(is_left, plan[index]))
        loads[index] = Load(
            amount=float(number),
            bytes_read=0.0,
            bytes_written=number * RAW_BYTES,
            num_files=number + 2,
        )
    return loads


def download_rate(*, seconds_between_videos: float, megabytes_per_second: float | None) -> Rate:
    """One video after the other."""
    bytes_per_second = min(DOWNLOAD_BYTES_PER_SECOND, (megabytes_per_second or float("inf")) * 1e6)
    return Rate(
        seconds=seconds_between_videos + RAW_BYTES / bytes_per_second,
        unit="videos",
        source=f"not measured here: {bytes_per_second / 1e6:.2f} MB/s a task (published for "
        "YouTube: 87 Mb/s with 16 cores), 50 MB a video",
    )
