from dataclasses import replace

import numpy as np
import pytest
import torch

from mcn.data.batches import NO_WORD, ClipRows
from mcn.data.clip_reader import ClipReader
from mcn.data.media_reader import rows_of_clips
from mcn.data.stores import open_stores
from mcn.data.training_batches import Sampling, TrainingBatches, derangement
from tests.stores import FEATURES, SECONDS_PER_CLIP, WORDS_PER_CLIP, write_stores

SAMPLING = Sampling(
    seed=3,
    batch_size=5,
    clips_per_video=3,
    min_clip_seconds=2.0,
    max_words=7,
    shuffled_captions=False,
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ClipReader:
    folder = tmp_path_factory.mktemp("store")
    write_stores(folder, num_videos=12, clips_per_video=4)
    return ClipReader(open_stores(folder, FEATURES))


def videos_of_epoch(batches: TrainingBatches, epoch: int) -> list[str]:
    steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
    return [video for step in steps for video in dict.fromkeys(batches[step].video_ids)]


def test_an_epoch_visits_every_video_once_in_an_order_of_its_own(reader: ClipReader) -> None:
    batches = TrainingBatches(reader, SAMPLING)
    first, second = videos_of_epoch(batches, 0), videos_of_epoch(batches, 1)
    assert sorted(first) == sorted(second) == batches.video_ids
    assert first != second


def test_the_ranks_share_the_very_batch_of_one_process(reader: ClipReader) -> None:
    alone = TrainingBatches(reader, SAMPLING)
    ranks = [TrainingBatches(reader, SAMPLING, rank=r, world_size=3) for r in range(3)]
    for step in (0, 1, 2, 5):
        together = [batches[step] for batches in ranks]
        video_ids = [video_id for batch in together for video_id in batch.video_ids]
        assert video_ids == alone[step].video_ids
        assert torch.equal(torch.cat([b.words for b in together]), alone[step].words)
        assert torch.equal(torch.cat([b.video for b in together]), alone[step].video)


def test_a_step_is_the_same_whoever_asks_and_whenever(reader: ClipReader) -> None:
    one, other = TrainingBatches(reader, SAMPLING), TrainingBatches(reader, SAMPLING)
    for step in (7, 0, 7):
        _ = other[step]
    assert torch.equal(one[4].video, other[4].video)
    assert not torch.equal(
        one[4].video[0], TrainingBatches(reader, replace(SAMPLING, seed=4))[4].video[0]
    )


def test_no_clip_is_drawn_twice_for_a_batch(reader: ClipReader) -> None:
    batch = TrainingBatches(reader, replace(SAMPLING, clips_per_video=9))[0]
    rows = batch.video.numpy()
    assert len(np.unique(rows, axis=0)) == len(rows) == 5 * 4


def test_a_clip_holds_the_pooled_rows_and_the_words_of_its_stretch(reader: ClipReader) -> None:
    video_id = reader.stores["video"].video_ids[0]
    words = reader.caption_words(video_id, [(1, 2)], max_words=4)
    clip = reader.read(video_id, [4.0], [8.0], words)
    rows = reader.stores["video"].read(video_id).astype(np.float32)
    assert clip.video.has.all() and np.array_equal(clip.video.rows[0], rows[4:8].max(axis=0))
    rows = reader.stores["audio"].read(video_id).astype(np.float32)
    assert isinstance(clip.audio, ClipRows)
    assert clip.audio.has.all() and np.array_equal(clip.audio.rows[0], rows[8:16].mean(axis=0))
    rows = reader.stores["text"].read(video_id)
    assert words.tolist() == [[*rows[WORDS_PER_CLIP : 2 * WORDS_PER_CLIP, 0], NO_WORD]]


def test_what_a_video_lacks_is_masked(reader: ClipReader) -> None:
    batches = TrainingBatches(reader, replace(SAMPLING, batch_size=12))
    batch = batches[0]
    silent = torch.tensor([video_id == batches.video_ids[-1] for video_id in batch.video_ids])
    assert silent.any()
    assert torch.equal(batch.has["audio"], ~silent)
    assert batch.has["video"].all() and batch.has["text"].all()
    assert not batch.audio[silent].any()


def test_a_short_caption_grows_over_its_neighbours(reader: ClipReader) -> None:
    grown = replace(SAMPLING, min_clip_seconds=1.5 * SECONDS_PER_CLIP, max_words=99)
    batch = TrainingBatches(reader, grown)[0]
    assert (batch.is_word.sum(dim=1) == 2 * WORDS_PER_CLIP).all()


def test_words_are_cut_off_after_the_most(reader: ClipReader) -> None:
    batch = TrainingBatches(reader, replace(SAMPLING, max_words=2))[0]
    assert batch.words.shape[1] == 2 and batch.is_word.all()


def test_a_derangement_gives_every_video_the_captions_of_another() -> None:
    ids = [f"v{i}" for i in range(50)]
    pairs = derangement(ids, seed=0)
    assert sorted(pairs) == sorted(pairs.values()) == sorted(ids)
    assert all(video != source for video, source in pairs.items())
    assert pairs == derangement(ids, seed=0) != derangement(ids, seed=1)


def test_the_control_differs_from_its_row_in_the_captions_alone(reader: ClipReader) -> None:
    plain = TrainingBatches(reader, SAMPLING)[0]
    control = TrainingBatches(reader, replace(SAMPLING, shuffled_captions=True))[0]
    assert control.video_ids == plain.video_ids
    assert torch.equal(control.video, plain.video)
    assert not torch.equal(control.words, plain.words)


@pytest.mark.parametrize(
    "start_seconds, end_seconds, rows",
    [
        (0.0, 1.0, (0, 1)),
        (0.2, 1.1, (0, 2)),  # every row that overlaps
        (3.0, 99.0, (3, 10)),
        (3.0, float("inf"), (3, 10)),
        (-2.0, 2.0, (0, 2)),
        (12.0, 14.0, (10, 10)),  # behind the end
    ],
)
def test_the_rows_of_a_clip_are_those_that_overlap_it(
    start_seconds: float, end_seconds: float, rows: tuple[int, int]
) -> None:
    (own,) = rows_of_clips([start_seconds], [end_seconds], rows_per_second=1.0, num_rows=10)
    assert tuple(own) == rows
