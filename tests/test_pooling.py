import numpy as np
import pytest

from mcn.data.batches import collate
from mcn.data.clip_reader import ClipReader
from mcn.data.pooling import pool_max, pool_mean
from mcn.data.scratch import Scratch
from mcn.data.stores import open_stores
from tests.stores import FEATURES, write_stores

RANGES = np.array([(0, 1), (3, 9), (5, 20), (3, 9), (0, 40), (39, 40)])


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 6)).astype(np.float16)


def test_pooled_ranges_are_what_a_plain_loop_gives(rows: np.ndarray) -> None:
    greatest, mean = pool_max(rows, RANGES), pool_mean(rows, RANGES, Scratch())
    for place, (first, stop) in enumerate(RANGES.tolist()):
        exact = rows[first:stop].astype(np.float64)
        np.testing.assert_array_equal(greatest[place], exact.max(axis=0))
        np.testing.assert_allclose(mean[place], exact.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_every_number_has_its_place_in_the_order_by_which_the_greatest_is_found() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    generator = np.random.default_rng(1)
    for numbers in (every[np.isfinite(every)], every[~np.isnan(every)], every):
        pairs = np.stack((generator.permutation(numbers), generator.permutation(numbers)))
        with np.errstate(invalid="ignore"):
            expected = np.maximum(pairs[0], pairs[1])
        np.testing.assert_array_equal(pool_max(pairs, np.array([(0, 2)]))[0], expected)


def test_a_range_has_the_same_bits_alone_and_among_others(rows: np.ndarray) -> None:
    among = pool_mean(rows, RANGES, Scratch())
    for place in range(len(RANGES)):
        np.testing.assert_array_equal(pool_mean(rows, RANGES[[place]], Scratch())[0], among[place])


@pytest.mark.parametrize("sign", [1, -1])
def test_values_that_are_not_finite_stay_so_in_the_ranges_that_hold_them(sign: int) -> None:
    rows = np.zeros((40, 6), np.float16)
    rows[7, 2], rows[30, 3] = np.copysign(np.nan, sign), np.inf
    is_nan = np.array([False, True, True, True, True, False])
    for pooled in (pool_max(rows, RANGES), pool_mean(rows, RANGES, Scratch())):
        np.testing.assert_array_equal(np.isnan(pooled[:, 2]), is_nan)
        np.testing.assert_array_equal(np.isinf(pooled[:, 3]), np.arange(6) == 4)


def test_clips_read_together_are_those_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("store")
    write_stores(folder, num_videos=3)
    reader = ClipReader(open_stores(folder, FEATURES))
    # Out of order, one twice, one far from the others, one behind the end of the video.
    starts, ends = [7.5, 0.0, 15.0, 0.0, 99.0], [9.0, 2.2, 16.1, 2.2, 101.0]
    captions = [(2, 3), (0, 1), (3, 5), (0, 1), (4, 4)]
    for video_id in ("video0-000", "video0-002"):
        words = reader.caption_words(video_id, captions, max_words=5)
        together = collate([reader.read(video_id, starts, ends, words)])
        for place, (start, end, lines) in enumerate(zip(starts, ends, captions, strict=True)):
            spoken = reader.caption_words(video_id, [lines], max_words=5)
            alone = collate([reader.read(video_id, [start], [end], spoken)])
            for name in ("video", "audio", "words", "is_word"):
                one, other = getattr(together, name), getattr(alone, name)
                np.testing.assert_array_equal(one[place], other[0])
            for modality, has in alone.has.items():
                assert together.has[modality][place] == has[0]
        assert not together.has["video"][4] and not together.has["text"][4]
    assert not together.has["audio"][0] and together.has["video"][0]
