"""Full batches of one shape across videos: the rows of a network, video by video.

With one batch shape a row depends neither on its place nor on its neighbours, so a shard that was
begun twice has the bytes of one that was not.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from extractors.media import MediaError

Item = tuple[str, Tensor | MediaError]
"""A video's rows, or what went wrong with it."""


@runtime_checkable
class RowMaker(Protocol):
    """Makes the rows of one video after the other, while its frames come some at a time."""

    def add(self, frames: Tensor) -> None:
        """Takes some frames of the video that is coming in."""

    def drop(self) -> None:
        """Forgets what has come of this video: it comes again."""

    def end(self, video_id: str, error: MediaError | None = None) -> None:
        """All of the video has come in, or what has is of no use."""

    def flush(self) -> None:
        """Makes what rows are still to be made."""

    def finished(self) -> Iterator[Item]:
        """The videos at the front whose rows are made, or their errors, in the order they came."""


@dataclass
class _Video:
    """A video on its way."""

    video_id: str = ""
    error: MediaError | None = None
    num_missing: int = 0
    rows: list[Tensor] = field(default_factory=list)

    def outcome(self) -> Tensor | MediaError:
        return self.error or torch.cat(self.rows)


class Packer:
    """Puts the frames of videos into batches, and the rows of batches to their videos."""

    def __init__(
        self,
        forward: Callable[[Shaped[Tensor, "batch ..."]], Float[Tensor, "batch dim"]],
        batch_size: int,
    ) -> None:
        """Takes a network and the size of its batches.

        Args:
            forward: Gives a row for each frame of a batch. It need not wait for a GPU to finish.
            batch_size: Frames in a batch; one that is not full is filled up with zeros. A video
                whose frames have another shape than those of the one before begins a new batch.
        """
        self._forward = forward
        self._batch_size = batch_size
        self._coming = _Video()
        self._videos: deque[_Video] = deque()
        self._parts: list[tuple[_Video, Tensor]] = []
        self._room = batch_size
        self._running: tuple[list[tuple[_Video, int]], Tensor] | None = None

    def add(self, frames: Tensor) -> None:
        """Takes some frames in, and starts the batches that they fill."""
        if self._parts and self._parts[0][1].shape[1:] != frames.shape[1:]:
            self._run()
        self._coming.num_missing += len(frames)
        while len(frames):
            part, frames = frames[: self._room], frames[self._room :]
            self._parts.append((self._coming, part))
            self._room -= len(part)
            if not self._room:
                self._run()

    def drop(self) -> None:
        """Forgets the video that is coming in; what is in a batch goes through it for nobody."""
        self._coming = _Video()

    def end(self, video_id: str, error: MediaError | None = None) -> None:
        """The rows of the video that came in are wanted; or an error in their place."""
        if error is not None:
            self.drop()
        elif not self._coming.num_missing and not self._coming.rows:
            error = MediaError("no-frames", f"video {video_id}: there are no frames in it")
        self._coming.video_id, self._coming.error = video_id, error
        self._videos.append(self._coming)
        self._coming = _Video()

    def flush(self) -> None:
        """Runs the last batch, which need not be full, and waits for it."""
        self._run()
        self._settle()

    def _run(self) -> None:
        """Starts a batch of what has come together, while the one before may still be running."""
        if not self._parts:
            return
        parts = [part for _, part in self._parts]
        batch = torch.cat([*parts, parts[0].new_zeros(self._room, *parts[0].shape[1:])])
        rows = self._forward(batch)
        self._settle()
        self._running = [(video, len(part)) for video, part in self._parts], rows
        self._parts, self._room = [], self._batch_size

    def _settle(self) -> None:
        """Waits for the batch that is running, and gives its rows to their videos."""
        if self._running is None:
            return
        (owners, rows), self._running = self._running, None
        counts = [count for _, count in owners]
        padding = len(rows) - sum(counts)
        for (video, count), own in zip(owners, rows.cpu().split([*counts, padding]), strict=False):
            video.rows.append(own)
            video.num_missing -= count

    def finished(self) -> Iterator[Item]:
        """The videos at the front that have all their rows."""
        while self._videos and not self._videos[0].num_missing:
            video = self._videos.popleft()
            yield video.video_id, video.outcome()


class OneByOne:
    """Makes the rows of each video by itself, once all of it has come in."""

    def __init__(
        self, rows_of: Callable[[Tensor], Float[Tensor, "rows dim"]], *, most_bytes: int
    ) -> None:
        """Takes what makes the rows of all that there is of a video, and how much that may be."""
        self._rows_of = rows_of
        self._most_bytes = most_bytes
        self._pieces: list[Tensor] = []
        self._num_bytes = 0
        self._finished: deque[Item] = deque()

    def add(self, frames: Tensor) -> None:
        """Keeps them, unless there are too many already."""
        self._num_bytes += frames.nbytes
        if self._num_bytes <= self._most_bytes:
            self._pieces.append(frames)

    def drop(self) -> None:
        """Forgets them."""
        self._pieces, self._num_bytes = [], 0

    def end(self, video_id: str, error: MediaError | None = None) -> None:
        """Makes the rows of the video that came in."""
        if error is None and self._num_bytes > self._most_bytes:
            size = f"{self._num_bytes / 1e9:.3g} GB"
            error = MediaError("out-of-memory", f"video {video_id}: {size} have to be held at once")
        if error is not None:
            self.drop()
            self._finished.append((video_id, error))
            return
        everything = torch.cat(self._pieces)
        self.drop()  # its pieces, before more is made of it
        self._finished.append((video_id, self._rows_of(everything)))

    def flush(self) -> None:
        """Does nothing: no rows are still to be made."""

    def finished(self) -> Iterator[Item]:
        """The videos that came since this was last asked for."""
        while self._finished:
            yield self._finished.popleft()
