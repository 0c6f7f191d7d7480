import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from extractors.batching import Item, forward_across
from extractors.media import MediaError

BATCH_SIZE = 4


def frames(num_frames: int, seed: int, size: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_frames, 3, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


class Network:
    """A convolution over frames, which remembers the shapes of its batches."""

    def __init__(self) -> None:
        self.layer = torch.nn.Conv2d(3, 6, 3)
        self.shapes: set[tuple[int, ...]] = set()

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> Tensor:
        self.shapes.add(tuple(batch.shape))
        features: Tensor = self.layer(batch.float()).mean(dim=(2, 3))
        return features


def rows_of(items: list[Item], network: Network) -> dict[str, Tensor | MediaError]:
    return dict(forward_across(items, network, batch_size=BATCH_SIZE))


def test_the_rows_of_a_video_do_not_depend_on_its_neighbours() -> None:
    network = Network()
    videos = {f"v{n}": frames(n, seed=n) for n in (1, 2, 3, 4, 5, 9)}
    together = rows_of(list(videos.items()), network)
    for video_id, own in videos.items():
        alone = rows_of([(video_id, own)], network)[video_id]
        assert torch.equal(together[video_id], alone), video_id  # type: ignore[arg-type]
        assert len(alone) == len(own)  # type: ignore[arg-type]


def test_every_batch_has_one_shape_and_only_the_last_is_padded() -> None:
    network = Network()
    items: list[Item] = [(f"v{n}", frames(3, seed=n)) for n in range(5)]
    rows_of(items, network)
    assert network.shapes == {(BATCH_SIZE, 3, 5, 5)}


def test_videos_come_in_the_order_of_the_items_and_errors_in_their_place() -> None:
    error = MediaError("truncated", "v2 is cut off")
    odd = frames(2, seed=9, size=6)
    items: list[Item] = [
        ("v1", frames(1, seed=1)),
        ("v2", error),
        ("v3", frames(6, seed=3)),
        ("v4", odd),
        ("v5", frames(1, seed=5)),
    ]
    results = list(forward_across(items, Network(), batch_size=BATCH_SIZE))
    assert [video_id for video_id, _ in results] == ["v1", "v2", "v3", "v4", "v5"]
    assert results[1][1] is error
    assert isinstance(results[3][1], MediaError) and results[3][1].reason == "other-size"


def test_a_video_is_handed_on_as_soon_as_its_rows_are_there() -> None:
    last_was_asked_for = threading.Event()

    def items() -> Iterator[Item]:
        yield "first", frames(BATCH_SIZE, seed=1)
        for n in range(20):
            yield f"v{n}", frames(BATCH_SIZE, seed=n)
        last_was_asked_for.set()

    results = forward_across(items(), Network(), batch_size=BATCH_SIZE)
    assert next(results)[0] == "first"
    assert not last_was_asked_for.is_set()
    results.close()  # type: ignore[attr-defined]


def test_what_goes_wrong_while_decoding_is_raised_where_the_rows_are_used() -> None:
    def items() -> Iterator[Item]:
        yield "v1", frames(1, seed=1)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(forward_across(items(), Network(), batch_size=BATCH_SIZE))


def test_nothing_gives_nothing() -> None:
    assert list(forward_across([], Network(), batch_size=BATCH_SIZE)) == []
