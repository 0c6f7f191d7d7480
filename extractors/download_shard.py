"""Downloads the videos of one shard, one after the other.

One process does so at a time: it holds the lease beside the ledger, and works in a folder that
bears its token. The parts that an earlier one left there are carried on with where it is certain
that it has ended; else it may be writing to them yet, and they are removed.
"""

import hashlib
import os
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from extractors.download import DownloadConfig, Downloaded
from extractors.download_errors import VideoFailedError
from extractors.download_pause import Pause
from extractors.download_tries import Downloader, Fetched
from mcn.data.failure_class import Retry
from mcn.data.ledger import LedgerFile, Outcome, is_left
from mcn.data.ledger_columns import leave_columns
from mcn.data.manifest import from_folder
from mcn.progress import Progress
from mcn.stop import StoppedEarlyError, StopRequest
from mcn.store.holder import Holder
from mcn.store.layout import lease_folder
from mcn.store.lease import Lease, acquire
from mcn.store.rawio import fsync_folder

PAUSE_FILE = "pause.json"


def download_shard(
    video_ids: Sequence[str],
    raw: Path,
    ledger: LedgerFile,
    config: DownloadConfig,
    *,
    retry: Retry | None,
    progress: Progress,
    stop: StopRequest,
) -> None:
    """Download what the ledger and the folder do not have yet, and enter what became of it.

    A video is entered after its file is in place, so a kill costs a part of one video, which the
    next start carries on with.

    Args:
        video_ids: The videos of the shard.
        raw: Where `<id>.<ext>` goes.
        ledger: What is done already; grows by a line a video.
        config: Where from, and how politely.
        retry: The failures to try again.
        progress: Told of videos as they are done.
        stop: Once it is set the video under way is left as it is.

    Raises:
        StoppedEarlyError: It was set; what is done is kept.
        StillBlockedError: The site blocks, whatever the pauses; untouched videos stay untouched.
        OSError: This machine cannot write, as where the disk is full.
        LeaseError: Another process downloads this shard, or has taken it over from this one.
    """
    if not any(is_left(each, retry) for each in _entered(ledger, video_ids).values()):
        progress.skip(len(video_ids))
        return
    work = raw / f".{ledger.path.stem}"
    with acquire(lease_folder(ledger.path), Holder.here()) as lease, lease.explain_errors():
        entered = _entered(ledger, video_ids)
        left = [k for k, outcome in entered.items() if is_left(outcome, retry)]
        progress.skip(len(video_ids) - len(left))
        ours = _own_folder(work, lease)
        downloader = Downloader(config, Pause(ledger.path.parent / PAUSE_FILE, config, stop), stop)
        there = {video.video_id for video in from_folder(raw)}
        # A retry that is itself started again goes on with those it has tried least.
        queue = deque(sorted(left, key=lambda video_id: _attempts(entered[video_id])))
        while queue and not stop.is_set:
            video_id = queue.popleft()
            if video_id in there:
                outcome = Outcome(video_id=video_id, status="done")
            else:
                fetched = downloader.download(video_id, ours / _digest(video_id))
                if fetched is None:
                    queue.append(video_id)
                    continue
                lease.check()
                _put_in_place(video_id, fetched.result, raw)
                outcome = _outcome(video_id, fetched, _attempts(entered[video_id]))
            lease.check()
            ledger.append(outcome)
            progress.advance()
            shutil.rmtree(ours / _digest(video_id), ignore_errors=True)
        leave_columns(ledger)
        if queue:
            raise StoppedEarlyError(f"{ledger.path}: asked to stop, {len(queue)} videos are left")
        lease.check()
        shutil.rmtree(work, ignore_errors=True)
        lease.dissolve()


def _entered(ledger: LedgerFile, video_ids: Sequence[str]) -> dict[str, Outcome | None]:
    outcomes = ledger.read()
    return {video_id: outcomes.get(video_id) for video_id in video_ids}


def _attempts(outcome: Outcome | None) -> int:
    return 0 if outcome is None else outcome.attempts


def _digest(video_id: str) -> str:
    """A name for the folder of the video's parts that yt-dlp reads nothing into."""
    return hashlib.sha256(video_id.encode()).hexdigest()[:32]


def _put_in_place(video_id: str, result: Downloaded | VideoFailedError, raw: Path) -> None:
    if isinstance(result, Downloaded):
        with result.path.open("rb") as file:
            os.fsync(file.fileno())
        result.path.replace(raw / f"{video_id}{result.path.suffix}")
        fsync_folder(raw)


def _outcome(video_id: str, fetched: Fetched, attempts_before: int) -> Outcome:
    attempts = attempts_before + fetched.num_tries
    if isinstance(fetched.result, Downloaded):
        seconds = fetched.result.seconds
        return Outcome(video_id=video_id, status="done", seconds=seconds, attempts=attempts)
    return Outcome(
        video_id=video_id,
        status="failed",
        reason=fetched.result.reason,
        detail=str(fetched.result),
        kind=fetched.result.kind,
        attempts=attempts,
    )


def _own_folder(work: Path, lease: Lease) -> Path:
    """The folder of this lease's token, with the parts of the one before if nobody adds to them."""
    ours = work / f"{lease.token}"
    before = work / f"{lease.token - 1}"
    if lease.predecessor_ended and before.exists():
        before.rename(ours)
    ours.mkdir(parents=True, exist_ok=True)
    for other in list(work.iterdir()):
        if other.name.isdigit() and int(other.name) < lease.token:
            shutil.rmtree(other, ignore_errors=True)  # whose it was may be adding to it
    return ours
