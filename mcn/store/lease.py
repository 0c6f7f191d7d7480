"""One writer at a time, on all machines that share a folder, by files alone: no lock is trusted.

A lease is a folder, and to hold it is to have its newest token, a number that only rises.

    00042.lease/7          token 7 is taken; empty, and there until nobody needs the lease
    00042.lease/7.4f0c...  its beat (beat.py): who took it, renewed as long as it is held

A token is taken by creating its file exclusively, which the servers of NFS (version 3 too) and of
Lustre decide, and which stays right where a reply is lost and the request repeated; link() and
mkdir() then report a failure that was none. Only the next number is tried and no number is given
back, so nobody takes one twice.

A thread renews the beat: a video may take minutes, and no native code is known to keep Python to
itself for as long as a lease lasts. Others judge it by their own clock alone: if what they read has
not changed for as long as the holder promised, it is over. Clocks are not compared.

Who takes a token removes the beats of earlier ones. An earlier holder that is not over, but was
stopped or cut off, learns of it by opening its beat, which it does before anything counts; network
file systems may answer from memory whether a name exists, but to open one is to ask the server. It
may still be writing at that moment. So holders write only to files that bear their token
(construction.py), and what one writes late nobody reads.
"""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from mcn.store.beat import Beat, read_beats
from mcn.store.holder import Holder
from mcn.store.rawio import is_gone

LEASE_SECONDS = 60.0
_BEATS_PER_LEASE = 6
_LOOKS_PER_LEASE = 60
_MOST_LOOK_SECONDS = 1.0


class LeaseError(RuntimeError):
    """This process may not write, because another one does or did."""


class ShardBusyError(LeaseError):
    """Another process holds the lease."""


class LeaseLostError(LeaseError):
    """Another process has taken the lease over."""


class Lease:
    """A lease that this process has taken, renewed until it is released."""

    def __init__(self, path: Path, token: int, beat: Beat, *, predecessor_ended: bool) -> None:
        """Begins to renew the beat at `path`; `acquire` makes leases."""
        self.token = token
        self.predecessor_ended = predecessor_ended
        """Whether it is certain that the holder of the token before writes no more."""
        self._path = path
        self._beat = beat
        self._pid = os.getpid()
        self._is_over = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewal.start()

    def check(self) -> None:
        """Returns if the lease is held.

        Raises:
            LeaseLostError: If another process has taken it over.
        """
        try:
            os.close(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            if not is_gone(error):
                raise
            raise LeaseLostError(self._loss()) from error

    @contextlib.contextmanager
    def explain_errors(self) -> Iterator[None]:
        """An OSError of the block is a LeaseLostError where the lease is lost.

        For the next holder clears away the files that the block may be working on.
        """
        try:
            yield
        except OSError:
            self.check()
            raise

    def release(self) -> None:
        """Lets go: the next may take the lease at once. Nothing may be written from here on."""
        if os.getpid() == self._pid:  # a forked child holds nothing
            self._stop()
            with contextlib.suppress(OSError):  # lost, dissolved, or else it runs out
                self._beat._replace(is_released=True).write(self._path, new=False)

    def dissolve(self) -> None:
        """Removes the lease and all its past, when nothing is left that needs one writer."""
        self._stop()
        folder = self._path.parent
        with contextlib.suppress(FileNotFoundError):
            # The beats last: after a crash, a token without one would be waited for.
            for path in _tokens(folder) + [path for _, path in _beats(folder)]:
                path.unlink(missing_ok=True)
        # Where it is not empty, another process is taking it. That one finds nothing left to do,
        # and dissolves it.
        with contextlib.suppress(OSError):
            folder.rmdir()

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _stop(self) -> None:
        self._is_over.set()
        self._renewal.join()

    def _renew(self) -> None:
        number = 0
        while not self._is_over.wait(self._beat.lease_seconds / _BEATS_PER_LEASE):
            number += 1
            try:
                self._beat._replace(number=number).write(self._path, new=False)
            except OSError as error:
                # A server that is away for a moment costs a beat. One that stays away costs the
                # lease, if anybody else wants it, and then `check` says so.
                if is_gone(error):
                    return

    def _loss(self) -> str:
        folder = self._path.parent
        try:
            cause = f"taken over by {_newest_holders(folder)}"
        except FileNotFoundError:
            cause = "finished by another process"
        return (
            f"{folder.with_suffix('')}: {cause}, because process {self._pid} (token {self.token}) "
            "had not renewed its lease or was said to have ended; what it had put on disk is kept"
        )


def acquire(
    folder: Path, holder: Holder, *, lease_seconds: float = LEASE_SECONDS, after: int = 0
) -> Lease:
    """The lease `folder`, when it is free; waits where only time can tell that a holder is over.

    Args:
        folder: Made if missing.
        holder: Who takes it: `Holder.here()`.
        lease_seconds: How long others are to wait when this holder shows no sign of life.
        after: A token that was given, should the folder have forgotten.

    Raises:
        ShardBusyError: If another process holds it.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # dissolved just now
            newest = _newest_token(folder)
            ended = newest > 0 and _wait_for_end(folder, newest, holder, lease_seconds)
            beat = Beat(holder, lease_seconds)
            path = _take(folder, max(newest, after) + 1, beat)
            if path is not None:
                return Lease(path, max(newest, after) + 1, beat, predecessor_ended=ended)


def _wait_for_end(folder: Path, token: int, holder: Holder, lease_seconds: float) -> bool:
    """Returns when a token is over: True if that is certain, False if all signs are that it is.

    What cannot be read is held to have promised `lease_seconds`.
    """
    first, since = read_beats(folder, token), time.monotonic()
    while True:
        now = time.monotonic()  # before reading: a pause after it must not age what was read
        found = read_beats(folder, token)
        beats = [Beat.decode(text) for text in found.values()]
        whole = [beat for beat in beats if beat is not None]
        if beats == whole and beats and all(beat.is_over() for beat in whole):
            return True
        if not found and _newest_token(folder) > token:
            return False  # somebody else has waited, too, and was faster; `acquire` looks again
        if found != first:
            raise ShardBusyError(
                f"{folder.with_suffix('')}: {_newest_holders(folder)} is writing it; wait for its "
                "end, or end it"
            )
        if (
            beats == whole
            and beats
            and all(beat.is_over() or beat.holder.is_succeeded_by(holder) for beat in whole)
        ):
            return False
        promised = max((beat.lease_seconds for beat in whole), default=lease_seconds)
        if now - since >= promised:
            return False
        time.sleep(min(since + promised - now, promised / _LOOKS_PER_LEASE, _MOST_LOOK_SECONDS))


def _take(folder: Path, token: int, beat: Beat) -> Path | None:
    """The beat of a token that was taken; None if another process was faster."""
    path = folder / f"{token}.{uuid.uuid4().hex}"
    beat.write(path, new=True)
    try:
        (folder / f"{token}").touch(exist_ok=False)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            return None
        raise
    for other, beat_path in _beats(folder):
        if other <= token and beat_path != path:
            beat_path.unlink(missing_ok=True)
    return path


def _newest_token(folder: Path) -> int:
    return max((int(path.name) for path in _tokens(folder)), default=0)


def _newest_holders(folder: Path) -> str:
    beats = map(Beat.decode, read_beats(folder, _newest_token(folder)).values())
    return " or ".join(str(beat.holder) for beat in beats if beat) or "another process"


def _tokens(folder: Path) -> list[Path]:
    """The tokens that are taken, as they rise."""
    tokens = [path for path in folder.iterdir() if path.name.isdigit()]
    return sorted(tokens, key=lambda path: int(path.name))


def _beats(folder: Path) -> list[tuple[int, Path]]:
    """The beats that are there, with their tokens."""
    names = [(path.name.partition("."), path) for path in folder.iterdir()]
    return [(int(number), path) for (number, dot, _), path in names if dot and number.isdigit()]
