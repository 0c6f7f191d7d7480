"""Full batches of one shape across videos, decoded ahead in the background.

With one batch shape a row depends neither on its place nor on its neighbours, so a shard that was
begun twice has the bytes of one that was not.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from extractors.media import MediaError

VIDEOS_AHEAD = 4

Item = tuple[str, Tensor | MediaError]
"""A video's frames, or rows, or what went wrong with it."""


def forward_across(
    items: Iterable[Item],
    forward: Callable[[Shaped[Tensor, "batch ..."]], Float[Tensor, "batch dim"]],
    *,
    batch_size: int,
) -> Iterator[Item]:
    """The rows of each video, or its error, in the order of the items.

    Args:
        items: Each video's frames, all of one shape, or its error; taken ahead in a thread.
        forward: Gives a row for each frame of a batch.
        batch_size: Frames in a batch; the last one is filled up with zeros.
    """
    packer = _Packer(forward, batch_size)
    for video_id, frames in _ahead(items):
        packer.add(video_id, frames)
        while packer.num_waiting >= batch_size:
            packer.run_batch()
        yield from packer.finished()
    while packer.num_waiting:
        packer.run_batch()
    yield from packer.finished()


@dataclass
class _Video:
    """A video on its way: its frames that wait for rows, and the rows that it has."""

    video_id: str
    waiting: Tensor | None
    rows: list[Tensor] = field(default_factory=list)
    error: MediaError | None = None


class _Packer:
    def __init__(self, forward: Callable[[Tensor], Tensor], batch_size: int) -> None:
        self.forward = forward
        self.batch_size = batch_size
        self.videos: deque[_Video] = deque()
        self.num_waiting = 0
        self.shape: torch.Size | None = None

    def add(self, video_id: str, frames: Tensor | MediaError) -> None:
        if isinstance(frames, MediaError):
            self.videos.append(_Video(video_id, None, error=frames))
            return
        self.shape = self.shape or frames.shape[1:]
        if frames.shape[1:] != self.shape:
            sizes = f"{tuple(frames.shape[1:])}, not {tuple(self.shape)}"
            error = MediaError("other-size", f"video {video_id}: frames are {sizes}")
            self.videos.append(_Video(video_id, None, error=error))
            return
        self.videos.append(_Video(video_id, frames))
        self.num_waiting += len(frames)

    def run_batch(self) -> None:
        """Take the next frames, whichever videos they belong to, and give them their rows."""
        parts: list[tuple[_Video, Tensor]] = []
        room = self.batch_size
        for video in self.videos:
            if video.waiting is None or not room:
                continue
            taken, rest = video.waiting[:room], video.waiting[room:]
            video.waiting = rest if len(rest) else None
            parts.append((video, taken))
            room -= len(taken)
        frames = torch.cat([taken for _, taken in parts])
        padding = frames.new_zeros((room, *frames.shape[1:]))
        rows = self.forward(torch.cat((frames, padding)))
        for (video, _), own in zip(
            parts, rows.split([*(len(taken) for _, taken in parts), room]), strict=False
        ):
            video.rows.append(own)
        self.num_waiting -= len(frames)

    def finished(self) -> Iterator[Item]:
        """The videos at the front that have all their rows."""
        while self.videos and (self.videos[0].waiting is None):
            video = self.videos.popleft()
            yield video.video_id, video.error or torch.cat(video.rows)


def _ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, made in a thread that is a few videos ahead."""
    ready: queue.Queue[Item | BaseException | None] = queue.Queue(VIDEOS_AHEAD)
    is_abandoned = threading.Event()

    def put(item: Item | BaseException | None) -> None:
        while not is_abandoned.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def produce() -> None:
        try:
            for item in items:
                put(item)
                if is_abandoned.is_set():
                    return
            put(None)
        except BaseException as error:  # handed over, to be raised where the items are used
            put(error)

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_abandoned.set()
        producer.join()
