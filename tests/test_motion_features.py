"""3-D features beside 2-D: each clip pooled from both, by seconds, and none without either."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mcn.data.batches import NO_WORD
from mcn.data.clip_form import ClipForm
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores, videos_without_motion
from mcn.data.training_batches import TrainingBatches
from mcn.evaluation.zero_shot import embed_benchmark, load_model
from mcn.objectives import Stage
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder, read_metrics
from tests.published_runs import SAMPLING
from tests.stores import DIMS, FEATURES, MOTION, MOTION_DIM, write_motion, write_stores
from tests.test_training import CONFIG


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("root") / "store"
    write_stores(store, num_videos=12)
    ids = [f"video0-{number:03d}" for number in range(12)]
    write_motion(store, ids=ids, without={"video0-003"})
    return store


@pytest.fixture(scope="module")
def reader(store: Path) -> ClipReader:
    return ClipReader(open_stores(store, MOTION))


def no_words(num_clips: int) -> NDArray[np.int32]:
    return np.full((num_clips, 1), NO_WORD, np.int32)


def slow_pooled(reader: ClipReader, video_id: str, start: float, end: float) -> list[np.ndarray]:
    """The greatest of each column over rows that share a moment with the clip, of 2-D and 3-D."""
    pooled = []
    for source, rate in (("video", 1.0), ("video-3d", 1.5)):
        rows = reader.stores[source].read(video_id).astype(np.float32)  # type: ignore[index]
        own = [row for t, row in enumerate(rows) if t / rate < end and (t + 1) / rate > start]
        pooled.append(np.max(own, axis=0))
    return pooled


def test_a_clip_has_both_pooled_side_by_side_as_in_a_plain_loop(reader: ClipReader) -> None:
    starts, ends = [0.0, 3.2, 7.0, 18.5], [2.0, 9.9, 8.0, 25.0]
    clips = reader.read("video0-001", starts, ends, no_words(4))
    assert reader.dims["video"] == DIMS["video"] + MOTION_DIM
    assert clips.video.has.all()
    for row, start, end in zip(clips.video.rows, starts, ends, strict=True):
        expected = slow_pooled(reader, "video0-001", start, end)
        assert np.array_equal(row, np.concatenate(expected))


def test_each_kind_has_unit_length_where_that_is_asked_for_as_published(reader: ClipReader) -> None:
    published = ClipReader(reader.stores, ClipForm(video="unit-length"))
    clip = published.read("video0-001", [3.2], [9.9], no_words(1))
    parts = slow_pooled(reader, "video0-001", 3.2, 9.9)
    expected = np.concatenate([part / np.linalg.norm(part) for part in parts])
    np.testing.assert_allclose(clip.video.rows[0], expected, rtol=1e-6)


def test_a_video_without_a_3d_record_is_masked_by_name(reader: ClipReader) -> None:
    assert videos_without_motion(reader.stores) == ["video0-003"]
    assert not reader.has("video", "video0-003") and reader.has("video", "video0-002")
    batch = TrainingBatches(reader, SAMPLING)[0]
    lacking = torch.tensor([video_id == "video0-003" for video_id in batch.video_ids])
    assert lacking.any()
    assert torch.equal(batch.has["video"], ~lacking)
    assert not batch.video[lacking].any()


def test_a_clip_behind_the_end_of_either_has_no_video(reader: ClipReader) -> None:
    clips = reader.read("video0-001", [0.0, 19.0, 21.0], [1.0, 21.0, 22.0], no_words(3))
    assert clips.video.has.tolist() == [True, True, False]
    assert not clips.video.rows[2].any()


def test_a_run_learns_from_both_and_is_evaluated_on_both(store: Path) -> None:
    config = replace(
        CONFIG, stage=Stage.VT_A, stage1_epochs=1, stage2_epochs=1, video_scale="unit-length"
    )
    run = RunFolder(store.parent / "runs" / "motion")
    stores = open_stores(store, MOTION)
    train(config, Runtime(), stores, run)
    assert all(math.isfinite(row["loss"]) for row in read_metrics(run.metrics))
    model = load_model(load_checkpoint(run.final))
    assert model.dims.video == DIMS["video"] + MOTION_DIM
    found = embed_benchmark(model, stores, max_words=20)
    lacking = [video_id == "video0-003" for video_id in found.video_ids]
    assert found.has["video"].tolist() == [not lacks for lacks in lacking]
    with pytest.raises(ValueError, match=r"another run \(data\.video-3d: '\w+' there, None asked"):
        train(config, Runtime(), open_stores(store, FEATURES), run)
