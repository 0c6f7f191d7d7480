"""Rows do not depend on what else was in the batch, and one video's failure is its own."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator

import pytest
import torch
from torch import Tensor, nn

from extractors.ahead import flow_ahead
from extractors.batching import Item, OneByOne, Packer, RowMaker
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


def take_in(maker: RowMaker, video_id: str, frames: Tensor | MediaError, at_once: int = 7) -> None:
    """A video comes in, some frames at a time."""
    if isinstance(frames, MediaError):
        maker.end(video_id, frames)
        return
    for some in frames.split(at_once):
        maker.add(some)
    maker.end(video_id)


def forward_across(items: Iterable[Item], network: TinyNetwork, batch_size: int) -> Iterator[Item]:
    packer = Packer(network, batch_size)
    for video_id, frames in items:
        take_in(packer, video_id, frames)
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


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_rows_are_the_same_however_frames_come_in(at_once: int) -> None:
    frames = video(3, 17)
    packer = Packer(TinyNetwork(), batch_size=4)
    take_in(packer, "a", frames, at_once)
    packer.flush()
    ((_, rows),) = packer.finished()
    ((_, expected),) = forward_across([("a", frames)], TinyNetwork(), batch_size=4)
    assert isinstance(rows, Tensor)
    assert isinstance(expected, Tensor)
    assert torch.equal(rows, expected)


def test_a_long_video_is_forwarded_while_it_comes_in_and_is_done_when_all_of_it_has() -> None:
    network = TinyNetwork()
    packer = Packer(network, batch_size=4)
    for _ in range(5):
        packer.add(video(0, 8))
    assert len(network.shapes) == 10
    assert not list(packer.finished())
    packer.end("a")
    packer.flush()
    assert [video_id for video_id, _ in packer.finished()] == ["a"]


@pytest.mark.parametrize("maker", [Packer, OneByOne])
def test_what_is_dropped_or_ends_in_an_error_leaves_nothing_in_the_rows_of_others(
    maker: type[Packer] | type[OneByOne],
) -> None:
    network, error = TinyNetwork(), MediaError("truncated", "b: half of it is there")
    made = Packer(network, 4) if maker is Packer else OneByOne(network, most_bytes=10**9)
    take_in(made, "a", video(0, 6))
    made.add(video(7, 5))
    made.drop()
    made.add(video(1, 3))
    made.add(video(1, 3))
    made.end("b", error)
    made.add(video(8, 9))
    made.drop()
    take_in(made, "c", video(2, 6))
    made.flush()
    rows = dict(made.finished())
    assert list(rows) == ["a", "b", "c"]
    assert rows["b"] is error
    for video_id, seed in (("a", 0), ("c", 2)):
        torch.testing.assert_close(rows[video_id], TinyNetwork()(video(seed, 6)))


def test_what_has_to_be_held_at_once_is_held_up_to_a_limit() -> None:
    made = OneByOne(TinyNetwork(), most_bytes=video(0, 7).nbytes)
    take_in(made, "fits", video(0, 7), at_once=1)
    take_in(made, "does not", video(0, 8), at_once=1)
    (_, rows), (_, error) = made.finished()
    assert isinstance(rows, Tensor)
    assert isinstance(error, MediaError)
    assert error.reason == "out-of-memory"


def flow(
    function: Callable[[int], int], items: Iterable[int], num_threads: int
) -> Generator[int, None, None]:
    """A single result of each item."""

    def single(item: int) -> Generator[int, None, None]:
        yield function(item)

    return flow_ahead(single, items, num_threads=num_threads, size_of=lambda _: 1, most_bytes=1)


def slow_first(k: int) -> int:
    time.sleep(0.2 if k == 0 else 0)
    return 10 * k


def test_what_is_worked_on_at_once_comes_in_the_order_of_the_items() -> None:
    results = flow(slow_first, range(7), 3)
    assert list(results) == [0, 10, 20, 30, 40, 50, 60]


def test_one_is_worked_on_while_another_is_used_and_no_more() -> None:
    begun: list[int] = []
    has_begun = threading.Event()

    def work(k: int) -> int:
        begun.append(k)
        if k == 1:
            has_begun.set()
        return k

    ahead = flow(work, range(6), 1)
    assert next(ahead) == 0
    assert has_begun.wait(timeout=60)
    time.sleep(0.1)
    assert begun == [0, 1]
    assert list(ahead) == [1, 2, 3, 4, 5]


def test_as_many_are_worked_on_at_once_as_there_are_threads() -> None:
    all_there = threading.Barrier(3, timeout=60)
    assert list(flow(lambda _: all_there.wait() >= 0, range(3), 3)) == [True] * 3


def test_an_error_that_is_not_a_videos_own_is_raised_in_its_place() -> None:
    def work(k: int) -> int:
        if k == 2:
            raise OSError("the disk is gone")
        return k

    results = flow(work, range(9), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_work_that_is_left_alone_ends_its_threads() -> None:
    before = set(threading.enumerate())
    ahead = flow(slow_first, range(10**9), 3)
    assert [next(ahead), next(ahead)] == [0, 10]
    ahead.close()
    assert set(threading.enumerate()) <= before


def test_who_is_ahead_by_so_many_bytes_waits_and_no_result_is_lost() -> None:
    made: list[int] = []

    def pieces(item: int) -> Generator[int, None, None]:
        for k in range(50):
            made.append(item)
            yield 100 * item + k

    ahead = flow_ahead(pieces, range(3), num_threads=2, size_of=lambda _: 10, most_bytes=70)
    most = [0, 0, 0]
    for number, result in enumerate(ahead):
        assert result == 100 * (number // 50) + number % 50
        if number in (0, 60):
            time.sleep(0.05)  # for those who would not wait
        for item in range(3):
            taken = min(50, max(0, number + 1 - 50 * item))
            most[item] = max(most[item], made.count(item) - taken)
    # Seven lie ready, one is in the hands of the thread.
    assert number == 149
    assert max(most) <= 8


def test_work_that_waits_ends_when_it_is_left_alone() -> None:
    def endless(item: int) -> Generator[int, None, None]:
        while True:
            yield item

    before = set(threading.enumerate())
    ahead = flow_ahead(endless, range(9), num_threads=2, size_of=lambda _: 1, most_bytes=3)
    assert [next(ahead) for _ in range(20)] == [0] * 20
    ahead.close()
    assert set(threading.enumerate()) <= before
