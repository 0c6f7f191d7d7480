import numpy as np
import pytest

from mcn.data.captions import Captions
from mcn.data.clips import grow_caption_range, grow_window

SPOKEN = Captions(
    start_seconds=[0.0, 4.0, 6.0, 9.0, 30.0],
    end_seconds=[4.0, 6.0, 9.0, 11.0, 33.0],
    texts=["take two eggs", "crack them", "don't stir", "", "Serve it!"],
)


def plain_growth(captions: Captions, index: int, min_seconds: float) -> list[int]:
    """The published rule word for word: the captions of the clip in the order of growth."""
    taken = [index]
    while True:
        low, high = min(taken), max(taken)
        if captions.end_seconds[high] - captions.start_seconds[low] >= min_seconds:
            return taken
        totals = {}
        for neighbour in (low - 1, high + 1):
            if 0 <= neighbour < len(captions):
                grown = sorted([*taken, neighbour])
                totals[neighbour] = (
                    captions.end_seconds[grown[-1]] - captions.start_seconds[grown[0]]
                )
        if not totals:
            return taken
        taken.append(min(totals, key=lambda neighbour: (totals[neighbour], neighbour)))


def random_captions(generator: np.random.Generator) -> Captions:
    """Captions as they come: most touch, some overlap, some follow a pause, some are equal."""
    num = int(generator.integers(1, 40))
    start = np.cumsum(generator.choice([0.0, 1.0, 2.0, 3.5, 3.5, 40.0], num))
    end = start + generator.choice([0.5, 2.0, 3.5, 6.0], num)
    return Captions(start.tolist(), end.tolist(), [f"word{k}" for k in range(num)])


def test_a_clip_grows_as_the_plain_loop_says_and_its_words_are_in_time_order() -> None:
    generator = np.random.default_rng(0)
    backwards = 0
    for _ in range(300):
        captions = random_captions(generator)
        index = int(generator.integers(len(captions)))
        grown = plain_growth(captions, index, 10.0)
        start, end, words = grow_window(captions, index, min_seconds=10.0)
        assert start == captions.start_seconds[min(grown)]
        assert end == captions.end_seconds[max(grown)]
        assert words == [f"word{k}" for k in sorted(grown)]
        backwards += grown != sorted(grown)
    assert backwards > 50, "the published order of words was hardly ever wrong here"


def test_growth_by_hand() -> None:
    # 6-9 s: with the caption before 5 s long, with the one after 5 s too; the one before wins.
    assert grow_window(SPOKEN, 2, min_seconds=5) == (4.0, 9.0, ["crack", "them", "don't", "stir"])
    # then 4-11 s (7 s) is shorter than 0-9 s (9 s)
    assert grow_window(SPOKEN, 2, min_seconds=6)[:2] == (4.0, 11.0)


def test_a_caption_that_is_long_enough_stays_alone() -> None:
    assert grow_window(SPOKEN, 0, min_seconds=4) == (0.0, 4.0, ["take", "two", "eggs"])


def test_growth_ends_with_the_captions() -> None:
    assert grow_caption_range([0.0, 4.0], [4.0, 6.0], 1, min_seconds=100) == (0, 2)
    assert grow_window(Captions([1], [2], ["so"]), 0, min_seconds=10) == (1.0, 2.0, ["so"])


def test_a_pause_is_part_of_the_clip() -> None:
    start, end, words = grow_window(SPOKEN, 4, min_seconds=10)
    assert (start, end, words) == (9.0, 33.0, ["Serve", "it"])


def test_a_caption_that_ends_before_it_starts_grows_like_a_short_one() -> None:
    assert grow_caption_range([0.0, 5.5, 6.0], [5.0, 4.0, 9.0], 1, min_seconds=3) == (1, 3)


def test_columns_of_a_store_will_do() -> None:
    spans = np.array([(0.0, 4.0, 1), (4.0, 6.0, 2)], "f8,f8,i4")
    assert grow_caption_range(spans["f0"], spans["f1"], 1, min_seconds=5.0) == (0, 2)


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_no_caption_outside(index: int) -> None:
    with pytest.raises(IndexError, match=f"no caption {index} among 5"):
        grow_window(SPOKEN, index, min_seconds=10)
