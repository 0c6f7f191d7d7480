"""What the published code of MCN does wrong, as an option or as plain code, beside the default.

The numbers are those of the list of its defects. Pinned elsewhere:

    3, 4, 6   what evaluation does about ties, NaN and missing inputs: test_retrieval.py
    5         counts of frames are left as they are: test_published.py
    7         the published factors of the learning rate: test_schedule.py
    8         a killed run ends with the bytes of one left alone: test_training.py
    9         a queue for batches of any size: test_clustering.py; two stages: test_objectives.py
    10        batches that only seed and step decide: test_training_batches.py, test_elastic.py
    11        gradients through gathered rows: test_distributed.py
    13        CrossTask's alignment: test_localization.py
    others    what the loss compares and moves: test_published_options.py; NaN: test_nan.py

The rest of the list is on extraction and on code that is not MCN's.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mcn.data.audio_window import PUBLISHED_LEAST_START_SECONDS
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.evaluation.retrieval import retrieval_metrics
from mcn.evaluation.zero_shot import embed_benchmark, load_model
from mcn.models.published import AvlNetTextTri, PublishedMcn
from mcn.training.checkpoint import load_checkpoint
from mcn.training.model import new_model
from mcn.training.run_folder import read_metrics
from mcn.training.schedule import warmup_cosine
from tests.configs import SMALL
from tests.published_runs import SAMPLING, short_run
from tests.stores import FEATURES, write_stores

ROWS_PER_SECOND = 2  # of sound, in these stores


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("root") / "store"
    write_stores(store)
    return store


@pytest.fixture(scope="module")
def reader(store: Path) -> ClipReader:
    return ClipReader(open_stores(store, FEATURES))


def audio_of(reader: ClipReader, **changed: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Sound, start and end of all clips that have sound."""
    batch = TrainingBatches(reader, replace(SAMPLING, **changed))[0]
    heard = batch.has["audio"]
    start, end = batch.seconds[heard].unbind(dim=1)
    return batch.audio[heard], start, end


# 1


def published_frame(seconds: float) -> int:
    """In spectra, of which each is told by the first sample of its window."""
    return math.floor((seconds * 16_000 - 200) / 160)


def test_1_a_clip_that_begins_with_its_file_has_its_own_sound(reader: ClipReader) -> None:
    assert len(range(1200)[published_frame(0.0) : published_frame(0.0) + 1000]) == 0
    assert published_frame(PUBLISHED_LEAST_START_SECONDS) == 0
    assert published_frame(PUBLISHED_LEAST_START_SECONDS - 1e-6) == -1
    ours, start, _ = audio_of(reader)
    published, _, _ = audio_of(reader, audio_window="published")
    at_start = start == 0
    assert 5 < at_start.sum() < len(start)
    assert len(published[at_start].unique(dim=0)) == 1
    assert len(ours[at_start].unique(dim=0)) == at_start.sum()
    assert torch.equal(published[~at_start], ours[~at_start])


# 2


def test_2_sound_lasts_as_long_as_video_and_text(reader: ClipReader) -> None:
    stores, long = reader.stores["audio"], {"min_clip_seconds": 11.0}
    batch = TrainingBatches(reader, replace(SAMPLING, min_clip_seconds=11.0))[0]
    heard = [i for i, has in enumerate(batch.has["audio"]) if has]
    ours, start, end = audio_of(reader, **long)
    published, _, _ = audio_of(reader, audio_window="first-10s", **long)
    assert (end - start).unique().tolist() == [12.0]
    for row, clip in enumerate(heard):
        first = int(start[row]) * ROWS_PER_SECOND
        rows = torch.from_numpy(stores.read(batch.video_ids[clip])).float()[first:]
        torch.testing.assert_close(ours[row], rows[: 12 * ROWS_PER_SECOND].mean(dim=0))
        torch.testing.assert_close(published[row], rows[: 10 * ROWS_PER_SECOND].mean(dim=0))


# 3


def test_3_evaluation_leaves_the_model_in_the_mode_it_was_in(store: Path) -> None:
    published = PublishedMcn(video_dim=8, word_dim=5, embedding_dim=16, reconstruction_dim=4)
    sound, num_frames = torch.randn(2, 40, 32), torch.tensor([32, 16])
    means = [b for name, b in published.named_buffers() if name.endswith("running_mean")]
    before = [mean.clone() for mean in means]
    published.eval().pool_audio(sound, num_frames)  # evaluation, and nobody takes it back
    published.pool_audio(sound, num_frames)  # training
    assert all(torch.equal(mean, was) for mean, was in zip(means, before, strict=True))

    stores = open_stores(store, FEATURES)
    model = new_model(SMALL, ClipReader(stores).dims)
    model.train_only(("text",))
    modes = {name: module.training for name, module in model.named_modules()}
    embed_benchmark(model, stores, max_words=20)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert set(modes.values()) == {True, False}


# 4


def test_4_a_run_without_reconstruction_can_be_evaluated(store: Path) -> None:
    avlnet = AvlNetTextTri(video_dim=8, word_dim=5, embedding_dim=16)
    inputs = torch.rand(2, 8), torch.rand(2, 40, 32), torch.tensor([32, 20]), torch.rand(2, 3, 5)
    with pytest.raises(ValueError, match="not enough values"):
        _, _, _, _, _, _ = avlnet(*inputs)  # what evaluation expects, decoders or not

    run = short_run(store, "no-reconstruction", reconstruction_weight=0.0)
    model = load_model(load_checkpoint(run.final))
    embedded = embed_benchmark(model, open_stores(store, FEATURES), max_words=20)
    assert retrieval_metrics(embedded.similarity("t2va"))["MedR"] >= 1


# 5


def test_5_counts_of_frames_may_be_whole_numbers() -> None:
    counts = torch.tensor([64, 33], dtype=torch.int32)
    with pytest.raises(RuntimeError, match="can't be cast"):
        counts.clone().div_(16)
    model = PublishedMcn(video_dim=8, word_dim=5, embedding_dim=16, reconstruction_dim=4).eval()
    assert model.pool_audio(torch.randn(2, 40, 64), counts).isfinite().all()


# 6


def published_recall_at_1(similarity: Tensor) -> float:
    """Every place where the sorted scores equal a query's own one counts, tied or not."""
    own = similarity.diagonal()[:, None]
    places = (similarity.sort(dim=1, descending=True).values == own).nonzero()[:, 1]
    return int((places == 0).sum()) / len(places)


def test_6_ties_are_no_hits() -> None:
    collapsed = torch.zeros(20, 20)
    own = collapsed.diagonal()[:, None]
    places = (collapsed.sort(dim=1).values == own).nonzero()[:, 1]
    hits = [int((places < k).sum()) / 20 for k in (1, 5, 10)]
    assert (hits, np.median(places.numpy()) + 1) == ([1.0, 5.0, 10.0], 10.5)  # as published
    assert retrieval_metrics(collapsed)["R@10"] == 0.0


def test_6_a_query_that_is_nan_is_a_miss() -> None:
    similarity = torch.eye(20)
    similarity[:10] = math.nan
    assert published_recall_at_1(similarity) == 1.0
    assert retrieval_metrics(similarity)["R@1"] == 0.5


# 7


def published_cosine(step: int, warmup: int, total: int) -> float:
    return max(0.0, 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))))


@pytest.mark.parametrize("progress, published", [(1.0, 0.0), (1.5, 0.5), (2.0, 1.0)])
def test_7_the_learning_rate_stays_down_after_the_end(progress: float, published: float) -> None:
    step = 10 + int(progress * 90)
    assert published_cosine(step, 10, 100) == pytest.approx(published)
    assert warmup_cosine(step, warmup=10, total=100) == 0.0


# 8


def test_8_one_file_holds_all_that_a_run_is_resumed_with(store: Path) -> None:
    saved = load_checkpoint(short_run(store, "saved").final)
    assert {name.split(".")[0] for name in saved.tensors} == {
        "model",
        "optimizer",
        "clustering",
        "random_state",
    }
    assert saved.part("clustering").keys() == {"queue", "counters", "centroids"}
    assert saved.meta["step"] == 6


def test_8_weights_that_do_not_fit_are_no_silent_start_from_others(store: Path) -> None:
    saved = load_checkpoint(short_run(store, "saved").final)
    del saved.tensors["model.encoders.text.gated.fc.weight"]
    with pytest.raises(RuntimeError, match=r"encoders\.text\.gated\.fc\.weight"):
        load_model(saved)


# 9


@pytest.mark.parametrize("term_weights, shares", [("mean", 2), ("thirds", 3)])
def test_9_two_modalities_are_divided_by_two(store: Path, term_weights: str, shares: int) -> None:
    run = short_run(store, term_weights, term_weights=term_weights)
    row = read_metrics(run.metrics)[0]
    assert row["stage"] == 1
    shared = [
        row[f"loss/{kind}/{modality}"]
        for kind in ("cluster", "reconstruction")
        for modality in ("video", "audio")
    ]
    assert row["loss"] == pytest.approx(row["loss/mms/video-audio"] + sum(shared) / shares)


def test_9_what_takes_no_part_is_not_reconstructed(store: Path) -> None:
    published = PublishedMcn(video_dim=8, word_dim=5, embedding_dim=16, reconstruction_dim=4)
    video, frames, words = torch.rand(2, 8), torch.tensor([32, 32]), torch.rand(2, 3, 5)
    errors = [published(video, sound, frames, words)[3] for sound in torch.randn(2, 2, 40, 32)]
    assert not torch.allclose(*errors)  # of a model that is trained without audio too

    terms = read_metrics(short_run(store, "mean").metrics)[0]
    assert "loss/reconstruction/audio" in terms and "loss/reconstruction/text" not in terms


# 10


def test_10_every_epoch_draws_clips_of_its_own(reader: ClipReader) -> None:
    published = [np.random.RandomState(0).randint(0, 99, 5).tolist() for _ in range(2)]
    assert published[0] == published[1]  # a worker begins every epoch with the same state
    batches = TrainingBatches(reader, replace(SAMPLING, clips_per_video=2))
    drawn = [
        {(v, *s) for v, s in zip(batch.video_ids, batch.seconds.tolist(), strict=True)}
        for batch in (batches[0], batches[batches.steps_per_epoch])
    ]
    assert len(drawn[0]) == len(drawn[1]) and drawn[0] != drawn[1]
