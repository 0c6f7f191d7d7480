"""Brings the videos of one shard to the standard form, several at once.

One process does so at a time: it holds the lease beside the ledger, and works in a folder that
bears its token, so that one that was given up for dead and lives does not spoil another's files.
"""

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

from extractors.media import MediaError
from extractors.resize import ResizeConfig
from extractors.resize_sandboxed import resize_in, resized_numbers
from extractors.sandbox import DEFAULT_LIMITS, Sandbox, SandboxLimits
from mcn.data.ledger import LedgerFile, Outcome
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.holder import Holder
from mcn.store.layout import lease_folder
from mcn.store.lease import acquire
from mcn.store.rawio import fsync_folder


def resize_shard(
    sources: Mapping[str, Path],
    folder: Path,
    ledger: LedgerFile,
    config: ResizeConfig,
    *,
    num_threads: int,
    progress: Progress,
    stop: StopRequest,
    limits: SandboxLimits = DEFAULT_LIMITS,
) -> None:
    """Resize what the ledger does not know yet, and enter what became of it.

    A video is entered after its file is in place, so a kill costs the videos under way.

    Args:
        sources: The raw file of each video.
        folder: Where `<id>.mp4` goes.
        ledger: What is done already; grows by a line a video.
        config: The standard form.
        num_threads: Videos at once, each in a child process.
        progress: Told of videos as they are done.
        stop: Once it is set no further video is begun; those under way are finished.
        limits: What a video may cost.

    Raises:
        StoppedEarlyError: It was set; what is done is kept.
        LeaseError: Another process resizes this shard, or has taken it over from this one.
    """
    if sources.keys() <= ledger.read().keys():
        progress.skip(len(sources))
        return
    work = folder / f".{ledger.path.stem}"
    with acquire(lease_folder(ledger.path), Holder.here()) as lease, lease.explain_errors():
        entered = ledger.read()
        missing = {k: v for k, v in sources.items() if k not in entered}
        progress.skip(len(sources) - len(missing))
        ours = _own_folder(work, lease.token)
        with _sandboxes(num_threads, limits) as sandboxes, ThreadPoolExecutor(num_threads) as pool:
            futures = [
                pool.submit(
                    _resize, video_id, source, ours / f"{video_id}.mp4", config, stop, sandboxes
                )
                for video_id, source in missing.items()
            ]
            num_left = len(futures)
            try:
                for future in as_completed(futures):
                    outcome = future.result()
                    lease.check()
                    if outcome is not None:
                        _put_in_place(outcome, ours, folder)
                        ledger.append(outcome)
                        progress.advance()
                        num_left -= 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if num_left:
            raise StoppedEarlyError(f"{ledger.path}: asked to stop, {num_left} videos are left")
        lease.check()
        shutil.rmtree(work, ignore_errors=True)
        lease.dissolve()


def _own_folder(work: Path, token: int) -> Path:
    """The folder of this token; those of earlier ones, which made no more of it, are removed."""
    ours = work / f"{token}"
    ours.mkdir(parents=True, exist_ok=True)
    for other in list(work.iterdir()):
        if other.name.isdigit() and int(other.name) < token:
            shutil.rmtree(other, ignore_errors=True)  # whose it was may be adding to it
    return ours


def _put_in_place(outcome: Outcome, made_in: Path, folder: Path) -> None:
    if outcome.status == "done":
        (made_in / f"{outcome.video_id}.mp4").replace(folder / f"{outcome.video_id}.mp4")
        fsync_folder(folder)


@contextmanager
def _sandboxes(num_threads: int, limits: SandboxLimits) -> Iterator[SimpleQueue[Sandbox]]:
    """One for each thread; whoever takes one puts it back."""
    sandboxes: SimpleQueue[Sandbox] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(num_threads):
            sandboxes.put(stack.enter_context(Sandbox(resized_numbers, limits)))
        yield sandboxes


def _resize(
    video_id: str,
    source: Path,
    target: Path,
    config: ResizeConfig,
    stop: StopRequest,
    sandboxes: SimpleQueue[Sandbox],
) -> Outcome | None:
    """What became of the video; None where it was not begun."""
    if stop.is_set:
        return None
    sandbox = sandboxes.get()
    try:
        resized = resize_in(sandbox, source, target, config)
    except MediaError as error:
        return Outcome(video_id=video_id, status="failed", reason=error.reason, detail=str(error))
    finally:
        sandboxes.put(sandbox)
    return Outcome(
        video_id=video_id,
        status="done",
        seconds=resized.seconds,
        num_frames=resized.num_frames,
        has_audio=resized.has_audio,
        completeness=resized.completeness,
    )
