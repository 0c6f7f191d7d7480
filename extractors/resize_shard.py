"""Brings the videos of one shard to the standard form, several at once.

One process does so at a time: it holds the lease beside the ledger, and works in a folder that
bears its token, so that one that was given up for dead and lives does not spoil another's files.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from extractors.delete_source import delete_source
from extractors.media import MediaError
from extractors.resize import ResizeConfig, ResizedVideo
from extractors.resize_sandboxed import resize_in, resized_numbers
from extractors.room import full_disk_explained
from extractors.sandbox import DEFAULT_LIMITS, Sandbox, SandboxLimits
from extractors.video_name import check_name
from mcn.data.failure_class import Retry, class_of
from mcn.data.ledger import LedgerFile, Outcome, is_left
from mcn.data.ledger_columns import leave_columns
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
    retry: Retry | None = None,
    deletes_sources: bool = False,
    accepts_sound_alone: bool = False,
    num_threads: int,
    progress: Progress,
    stop: StopRequest,
    limits: SandboxLimits = DEFAULT_LIMITS,
) -> None:
    """Resize what the ledger does not know yet, and enter what became of it.

    A video is entered after its file is in place, so a kill costs the videos under way. One that
    has taken its decoder down is left to another run, which tries it once more.

    Args:
        sources: The raw file of each video.
        folder: Where `<id>.mp4` goes.
        ledger: What is done already; grows by a line a video.
        config: The standard form.
        retry: The failures to try again; all also takes up videos whose resized file was removed.
        deletes_sources: Whether a raw file goes once what was made of it has been read back.
        accepts_sound_alone: Whether a file without a picture is resized too, and no failure.
        num_threads: Videos at once, each in a child process.
        progress: Told of videos as they are done.
        stop: Once it is set no further video is begun, and no further source deleted that was left
            of earlier ones; videos under way are finished.
        limits: What a video may cost.

    Raises:
        StoppedEarlyError: It was set; what is done is kept.
        OSError: This machine cannot write, as where the disk is full; that fails no video.
        LeaseError: Another process resizes this shard, or has taken it over from this one.
    """
    before = ledger.read()
    if not left_to_resize(sources, before, folder, retry, deletes_sources=deletes_sources):
        progress.skip(len(sources))
        return
    work = folder / f".{ledger.path.stem}"
    with (
        acquire(lease_folder(ledger.path), Holder.here()) as lease,
        lease.explain_errors(),
        full_disk_explained(folder),
    ):
        entered = ledger.read()
        gone = removed_videos(sources, folder, retry)
        missing = {k: v for k, v in sources.items() if k in gone or is_left(entered.get(k), retry)}
        # A retry that is itself started again goes on with those it has tried least.
        attempts = {k: entered[k].attempts if k in entered else 0 for k in missing}
        progress.skip(len(sources) - len(missing))
        to_delete = sorted(sources.keys() - missing.keys()) if deletes_sources else []
        while to_delete and not stop.is_set:
            lease.check()
            _delete(entered[to_delete.pop()], sources, folder, ledger, config)
        ours = _own_folder(work, lease.token)
        to_form = partial(resize_in, config=config, accepts_sound_alone=accepts_sound_alone)
        with _sandboxes(num_threads, limits) as sandboxes, ThreadPoolExecutor(num_threads) as pool:
            futures = [
                pool.submit(
                    _resize, video_id, source, ours / f"{video_id}.mp4", to_form, stop, sandboxes
                )
                for video_id, source in sorted(missing.items(), key=lambda each: attempts[each[0]])
            ]
            num_left = len(futures) + len(to_delete)
            try:
                for future in as_completed(futures):
                    outcome = future.result()
                    lease.check()
                    if outcome is not None:
                        _put_in_place(outcome, ours, folder)
                        outcome = replace(outcome, attempts=attempts[outcome.video_id] + 1)
                        ledger.append(outcome)
                        if deletes_sources:
                            _delete(outcome, sources, folder, ledger, config)
                        progress.advance()
                        num_left -= 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        leave_columns(ledger)
        if num_left:
            raise StoppedEarlyError(f"{ledger.path}: asked to stop, {num_left} videos are left")
        lease.check()
        shutil.rmtree(work, ignore_errors=True)
        lease.dissolve()


def left_to_resize(
    sources: Iterable[str],
    entered: Mapping[str, Outcome],
    folder: Path,
    retry: Retry | None,
    *,
    deletes_sources: bool,
) -> list[str]:
    """The videos with a raw file of which anything is still to be done."""
    gone = removed_videos(sources, folder, retry)
    return [
        video_id
        for video_id in sources
        if video_id in gone
        or is_left(entered.get(video_id), retry)
        or (deletes_sources and entered[video_id].status == "done")
    ]


def removed_videos(sources: Iterable[str], folder: Path, retry: Retry | None) -> set[str]:
    """Those whose resized file somebody has removed, or was never there; only `all` asks for them.

    It is not looked at otherwise, for the files of done videos may lie elsewhere by now.
    """
    if retry != "all":
        return set()
    return {video_id for video_id in sources if not os.path.lexists(folder / f"{video_id}.mp4")}


def _delete(
    outcome: Outcome,
    sources: Mapping[str, Path],
    folder: Path,
    ledger: LedgerFile,
    config: ResizeConfig,
) -> None:
    """Delete the source of a video that is done; say so where that cannot be."""
    if outcome.status != "done":
        return
    source = sources[outcome.video_id]
    try:
        delete_source(outcome, source, folder / f"{outcome.video_id}.mp4", ledger, config)
    except MediaError as error:
        print(f"{source} is kept: {error}")


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
    to_form: Callable[[Sandbox, Path, Path], ResizedVideo],
    stop: StopRequest,
    sandboxes: SimpleQueue[Sandbox],
) -> Outcome | None:
    """What became of the video; None where it was not begun."""
    if stop.is_set:
        return None
    sandbox = sandboxes.get()
    try:
        check_name(video_id)
        resized = to_form(sandbox, source, target)
    except MediaError as error:
        return Outcome(
            video_id=video_id,
            status="failed",
            reason=error.reason,
            detail=str(error),
            kind=class_of(error.reason),
        )
    finally:
        sandboxes.put(sandbox)
    return Outcome(
        video_id=video_id,
        status="done",
        seconds=resized.seconds,
        num_frames=resized.num_frames,
        has_audio=resized.has_audio,
        completeness=resized.completeness,
        num_errors=resized.num_errors,
    )
