"""Brings the videos of one shard to the standard form, several at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from extractors.media import MediaError
from extractors.resize import ResizeConfig, resize_video
from mcn.data.ledger import LedgerFile, Outcome


def resize_shard(
    sources: Mapping[str, Path],
    folder: Path,
    ledger: LedgerFile,
    config: ResizeConfig,
    *,
    num_threads: int,
    on_videos: Callable[[int], None],
) -> None:
    """Resize what the ledger does not know yet, and enter what became of it.

    A video is entered after its file is in place, so a kill costs the videos under way.

    Args:
        sources: The raw file of each video.
        folder: Where `<id>.mp4` goes.
        ledger: What is done already; grows by a line a video.
        config: The standard form.
        num_threads: Videos at once; FFmpeg works outside Python's lock.
        on_videos: Told of videos as they are done, for progress.
    """
    entered = ledger.read()
    missing = {k: v for k, v in sources.items() if k not in entered}
    on_videos(len(sources) - len(missing))
    with ThreadPoolExecutor(num_threads) as pool:
        futures = [
            pool.submit(_resize, video_id, source, folder / f"{video_id}.mp4", config)
            for video_id, source in missing.items()
        ]
        for future in as_completed(futures):
            ledger.append(future.result())
            on_videos(1)


def _resize(video_id: str, source: Path, target: Path, config: ResizeConfig) -> Outcome:
    try:
        resized = resize_video(source, target, config)
    except MediaError as error:
        return Outcome(video_id=video_id, status="failed", reason=error.reason, detail=str(error))
    return Outcome(
        video_id=video_id,
        status="done",
        seconds=resized.seconds,
        num_frames=resized.num_frames,
        has_audio=resized.has_audio,
        completeness=resized.completeness,
    )
