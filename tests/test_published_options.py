"""Where the publication compares, draws or moves something else: its option beside the default."""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from extractors.audio import QUIETEST_DB, log_mel
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.evaluation.zero_shot import embed_benchmark, load_model
from mcn.losses import mms_loss
from mcn.objectives import Stage
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import PUBLISHED, TrainConfig
from mcn.training.model import new_model
from mcn.training.run_folder import read_metrics
from tests.configs import SMALL
from tests.published_runs import SAMPLING, clusterer_of, first_step, short_run
from tests.stores import FEATURES, SECONDS_PER_CLIP, write_stores


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("root") / "store"
    write_stores(store)
    return store


@pytest.fixture(scope="module")
def reader(store: Path) -> ClipReader:
    return ClipReader(open_stores(store, FEATURES))


def test_no_clip_of_a_video_is_drawn_twice(reader: ClipReader) -> None:
    def starts(**changed: Any) -> dict[str, list[float]]:
        batch = TrainingBatches(reader, replace(SAMPLING, clips_per_video=8, **changed))[0]
        found: dict[str, list[float]] = {}
        for video_id, (start, _) in zip(batch.video_ids, batch.seconds.tolist(), strict=True):
            found.setdefault(video_id, []).append(start)
        return found

    everything = [float(SECONDS_PER_CLIP * i) for i in range(5)]
    assert all(drawn == everything for drawn in starts().values())
    for drawn in starts(clip_draws="repeated").values():
        assert len(drawn) == 8 and set(drawn) <= set(everything)


def test_clips_that_overlap_are_not_held_against_each_other(reader: ClipReader) -> None:
    _, ours = first_step(reader)
    _, published = first_step(reader, overlapping_clips="negatives")
    contrasts = [name for name in ours.terms if name.startswith("loss/mms/")]
    assert len(contrasts) == 2
    assert all(ours.terms[name] < published.terms[name] for name in contrasts)
    others = ours.terms.keys() - set(contrasts)
    assert all(ours.terms[name] == published.terms[name] for name in others)

    apart = {"min_clip_seconds": 2.0}
    _, ours = first_step(reader, **apart)
    _, published = first_step(reader, overlapping_clips="negatives", **apart)
    assert ours == published


def test_silence_and_padding_are_quiet() -> None:
    published_padding = 0.0
    assert log_mel(torch.randn(16_000), 16_000).max() == published_padding  # loudest of all
    silence = torch.zeros(16_000)
    assert log_mel(silence, 16_000).unique().tolist() == [published_padding]
    assert log_mel(silence, 16_000, silence="quiet").unique().tolist() == [QUIETEST_DB]


def test_the_scale_of_embeddings_is_nothing_to_the_loss(reader: ClipReader) -> None:
    batch = TrainingBatches(reader, SAMPLING)[0]

    def contrast(similarity: Literal["cosine", "product"], scale: float) -> float:
        model = new_model(replace(SMALL, similarity=similarity), reader.dims)
        unit = "encoders.video.gated"
        with torch.no_grad():
            model.get_parameter(f"{unit}.fc.weight").mul_(scale)
            model.get_parameter(f"{unit}.fc.bias").mul_(scale)
            model.get_parameter(f"{unit}.cg.fc.weight").div_(scale)  # the gate stays as it was
            video = model(batch, ("video",))["video"].embeddings
        return mms_loss(video @ video.T).item()

    assert contrast("product", 10.0) > 10 * contrast("product", 1.0)
    assert contrast("cosine", 10.0) == pytest.approx(contrast("cosine", 1.0), rel=1e-4)


def test_centroids_of_products_are_means_and_of_cosines_of_unit_length(reader: ClipReader) -> None:
    ours, _ = first_step(reader)
    published, _ = first_step(reader, similarity="product")
    for trainer, is_unit in ((ours, True), (published, False)):
        centroids = clusterer_of(trainer).centroids
        assert centroids is not None
        lengths = centroids.norm(dim=1)
        assert torch.allclose(lengths, torch.ones(SMALL.clusters), atol=1e-5) == is_unit
        held = clusterer_of(trainer).queue.filled()
        nearest = (held @ (centroids / lengths[:, None]).T).argmax(dim=1)
        for number, centroid in enumerate(centroids):
            mean = held[nearest == number].mean(dim=0)
            expected = mean / mean.norm() if is_unit else mean
            # A few clips go elsewhere once the centroids have moved for the last time.
            assert (expected - centroid).norm() < 0.1 * centroid.norm()


@pytest.mark.parametrize("target, moves", [("detached", False), ("attached", True)])
def test_what_is_to_be_reconstructed_does_not_learn_to_be_small(
    reader: ClipReader, target: Literal["detached", "attached"], moves: bool
) -> None:
    model = new_model(replace(SMALL, reconstruction_target=target), reader.dims)
    model.know_words(reader.word_vectors)
    for parameter in model.get_submodule("decoders").parameters():
        torch.nn.init.zeros_(parameter)  # nothing flows back but through the target
    batch = TrainingBatches(reader, SAMPLING)[0]
    model(batch, ("text",))["text"].reconstruction_error.sum().backward()
    gradient = model.get_parameter("encoders.text.pool.fc.weight").grad
    assert gradient is not None
    assert bool(gradient.any()) == moves


@pytest.mark.parametrize("clustered, stands_still", [("frozen", True), ("all", False)])
def test_what_is_clustered_in_the_second_stage_stands_still(
    reader: ClipReader, clustered: str, stands_still: bool
) -> None:
    trainer, _ = first_step(reader, clustered=clustered, queue_size=1000)
    clusterer_of(trainer).queue.num_pushed = 0
    batch = TrainingBatches(reader, SAMPLING)[0]
    for step in (1, 2):
        trainer.step(batch, step)
    held = clusterer_of(trainer).queue.filled()
    assert len(held) == 2 * len(batch)
    assert torch.equal(*held.chunk(2)) == stands_still


def test_the_preset_has_every_published_behaviour_and_trains(store: Path) -> None:
    default = TrainConfig(stage=Stage.AVT)
    published = TrainConfig(stage=Stage.AVT, **PUBLISHED)
    differing = {
        field.name
        for field in fields(TrainConfig)
        if getattr(default, field.name) != getattr(published, field.name)
    }
    assert differing == PUBLISHED.keys()
    small = {"embedding_dim": SMALL.embedding_dim}
    run = short_run(store, "published", stage=Stage.AVT, **{**PUBLISHED, **small})
    rows = read_metrics(run.metrics)
    assert all(math.isfinite(row["loss"]) for row in rows)
    model = load_model(load_checkpoint(run.final))
    assert not model.has_unit_length
    lengths = embed_benchmark(model, open_stores(store, FEATURES), max_words=20).embeddings["text"]
    assert not torch.allclose(lengths.norm(dim=1), torch.ones(len(lengths)))
