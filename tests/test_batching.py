"""Rows do not depend on what else was in the batch, and one video's failure is its own."""

import threading
import time
from collections.abc import Iterable, Iterator

import pytest
import torch
from torch import Tensor, nn

from extractors.ahead import map_ahead
from extractors.batching import Item, Packer
from extractors.media import MediaError

LENGTHS = [5, 1, 0, 17, 3, 8, 2, 2, 9]


def video(seed: int, num_frames: int, height: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (num_frames, 3, height, 7), generator=generator, dtype=torch.uint8)


class TinyNetwork:
    """A row for each frame; remembers the shapes of its batches."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 5, 3)
        self.shapes: list[torch.Size] = []

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        self.shapes.append(frames.shape)
        rows: Tensor = self.conv(frames.float() / 255).mean((2, 3))
        return rows


def forward_across(items: Iterable[Item], network: TinyNetwork, batch_size: int) -> Iterator[Item]:
    packer = Packer(network, batch_size)
    for video_id, frames in items:
        packer.add(video_id, frames)
        yield from packer.finished()
    packer.flush()
    yield from packer.finished()


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_rows_are_the_same_alone_and_in_company(batch_size: int) -> None:
    videos = {f"v{k}": video(k, n) for k, n in enumerate(LENGTHS) if n}
    together = dict(forward_across(videos.items(), TinyNetwork(), batch_size=batch_size))
    assert list(together) == list(videos)
    for video_id, frames in videos.items():
        ((_, alone),) = forward_across([(video_id, frames)], TinyNetwork(), batch_size=batch_size)
        rows = together[video_id]
        assert isinstance(rows, Tensor)
        assert isinstance(alone, Tensor)
        assert rows.shape == (len(frames), 5)
        assert torch.equal(rows, alone)


def test_all_batches_are_full_and_of_one_shape() -> None:
    network = TinyNetwork()
    list(
        forward_across(
            [(f"v{k}", video(k, n)) for k, n in enumerate(LENGTHS)], network, batch_size=4
        )
    )
    assert network.shapes == [torch.Size([4, 3, 6, 7])] * -(-sum(LENGTHS) // 4)


def test_a_failed_video_is_handed_on_in_its_place_and_stops_nothing() -> None:
    error = MediaError("empty", "b: the file is empty")
    items: list[Item] = [("a", video(0, 3)), ("b", error), ("c", video(1, 2)), ("d", video(2, 0))]
    results = list(forward_across(items, TinyNetwork(), batch_size=4))
    assert [video_id for video_id, _ in results] == ["a", "b", "c", "d"]
    assert results[1][1] is error
    assert isinstance(results[2][1], Tensor)
    assert isinstance(results[3][1], MediaError)
    assert results[3][1].reason == "no-frames"


def test_frames_of_another_shape_change_nobody_elses_rows() -> None:
    items = [("a", video(0, 3)), ("tall", video(1, 3, height=9)), ("b", video(2, 3))]
    network = TinyNetwork()
    mixed = dict(forward_across(items, network, batch_size=4))
    assert [shape[2] for shape in network.shapes] == [6, 9, 6]
    for item in items:
        ((video_id, alone),) = forward_across([item], TinyNetwork(), batch_size=4)
        rows = mixed[video_id]
        assert isinstance(rows, Tensor)
        assert isinstance(alone, Tensor)
        assert torch.equal(rows, alone)


def test_nothing_gives_nothing() -> None:
    assert not list(forward_across([], TinyNetwork(), batch_size=4))


def test_results_come_while_later_videos_are_still_to_be_read() -> None:
    taken = []

    def items() -> Iterator[Item]:
        for k in range(100):
            taken.append(k)
            yield f"v{k}", video(k, 512, height=3)

    next(forward_across(items(), TinyNetwork(), batch_size=64))
    assert len(taken) == 2  # the last batch of the first is settled by the first of the second


def slow_first(k: int) -> int:
    time.sleep(0.2 if k == 0 else 0)
    return 10 * k


def test_what_is_worked_on_at_once_comes_in_the_order_of_the_items() -> None:
    results = map_ahead(slow_first, range(7), num_threads=3)
    assert list(results) == [0, 10, 20, 30, 40, 50, 60]


def test_one_is_worked_on_while_another_is_used_and_no_more() -> None:
    begun: list[int] = []
    has_begun = threading.Event()

    def work(k: int) -> int:
        begun.append(k)
        if k == 1:
            has_begun.set()
        return k

    ahead = map_ahead(work, range(6), num_threads=1)
    assert next(ahead) == 0
    assert has_begun.wait(timeout=60)
    time.sleep(0.1)
    assert begun == [0, 1]
    assert list(ahead) == [1, 2, 3, 4, 5]


def test_as_many_are_worked_on_at_once_as_there_are_threads() -> None:
    all_there = threading.Barrier(3, timeout=60)
    assert list(map_ahead(lambda _: all_there.wait() >= 0, range(3), num_threads=3)) == [True] * 3


def test_an_error_that_is_not_a_videos_own_is_raised_in_its_place() -> None:
    def work(k: int) -> int:
        if k == 2:
            raise OSError("the disk is gone")
        return k

    results = map_ahead(work, range(9), num_threads=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_work_that_is_left_alone_ends_its_threads() -> None:
    before = set(threading.enumerate())
    ahead = map_ahead(slow_first, range(10**9), num_threads=3)
    assert [next(ahead), next(ahead)] == [0, 10]
    ahead.close()
    assert set(threading.enumerate()) <= before
