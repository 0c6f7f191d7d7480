import numpy as np
import pytest
import torch

from mcn.data.clip_reader import ClipReader
from mcn.data.pooling import pool_max, pool_mean
from mcn.data.stores import open_stores
from tests.stores import FEATURES, write_stores

RANGES = np.array([(0, 1), (3, 9), (5, 20), (3, 9), (0, 40), (39, 40)])


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


def test_pooled_ranges_are_what_a_plain_loop_gives(rows: torch.Tensor) -> None:
    greatest, mean = pool_max(rows, RANGES), pool_mean(rows, RANGES)
    for place, (first, stop) in enumerate(RANGES.tolist()):
        exact = rows[first:stop].double().numpy()
        np.testing.assert_array_equal(greatest[place], exact.max(axis=0))
        np.testing.assert_allclose(mean[place], exact.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_a_range_has_the_same_bits_alone_and_among_others(rows: torch.Tensor) -> None:
    among = pool_mean(rows, RANGES)
    for place in range(len(RANGES)):
        np.testing.assert_array_equal(pool_mean(rows, RANGES[[place]])[0], among[place])


def test_values_that_are_not_finite_stay_so_in_the_ranges_that_hold_them() -> None:
    rows = torch.zeros(40, 6)
    rows[7, 2], rows[30, 3] = torch.nan, torch.inf
    is_nan = np.array([False, True, True, True, True, False])
    for pooled in (pool_max(rows, RANGES), pool_mean(rows, RANGES)):
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
        words = reader.words_of_captions(video_id, captions)
        together = reader.read_all(video_id, starts, ends, words)
        for clip, start, end, lines in zip(together, starts, ends, captions, strict=True):
            spoken = reader.caption_words(video_id, *lines)
            alone = reader.read(video_id, start, end, spoken)
            for one, other in (
                (clip.video, alone.video),
                (clip.audio, alone.audio),
                (clip.words, alone.words),
            ):
                assert (one is None) == (other is None)
                if one is not None and other is not None:
                    np.testing.assert_array_equal(one, other)
        assert together[4].video is None and together[4].words is None
    assert together[0].audio is None and together[0].video is not None
