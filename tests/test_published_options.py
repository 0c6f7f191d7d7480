"""Where the publication compares, draws or moves something else: its option beside the default."""

import math
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from torch import Tensor

from extractors.audio import QUIETEST_DB, log_mel
from mcn.data.clip_form import WordPadding
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.evaluation.zero_shot import embed_benchmark, load_model
from mcn.losses import mms_loss
from mcn.models.mcn import Mcn
from mcn.models.trained import described_model
from mcn.objectives import Stage
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import ADDED_LATER, TrainConfig
from mcn.training.mcn_learner import every_second_clip
from mcn.training.model import new_model
from mcn.training.presets import PUBLISHED
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.stage import StageTrainer
from mcn.training.statistics import set_input_statistics
from tests.configs import SMALL
from tests.published_runs import SAMPLING, clusterer_of, first_step, short_run
from tests.stores import FEATURES, SECONDS_PER_CLIP, WORDS_PER_CLIP, write_stores


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


def test_decoders_reach_below_zero(reader: ClipReader) -> None:
    def rebuilt(**changed: Any) -> Tensor:
        model = new_model(replace(SMALL, **changed), reader.dims)
        embeddings = torch.randn(50, SMALL.embedding_dim, generator=torch.manual_seed(0))
        found: Tensor = model.get_submodule("decoders.video")(embeddings)
        return found

    assert torch.equal(rebuilt().relu(), rebuilt(decoder_end="relu"))
    assert (rebuilt() < 0).any()


def test_what_fills_up_a_sentence_says_nothing(reader: ClipReader, tmp_path: Path) -> None:
    """The published maximum is over the padding too, which gives what no word would give."""
    batch = TrainingBatches(reader, SAMPLING)[0]
    assert not batch.is_word.all()
    shorter = replace(
        batch, words=batch.words[:, :WORDS_PER_CLIP], is_word=batch.is_word[:, :WORDS_PER_CLIP]
    )
    cases: tuple[tuple[WordPadding, bool], ...] = (("left-out", True), ("published", False))
    for word_padding, is_same in cases:
        model = new_model(replace(SMALL, word_padding=word_padding), reader.dims)
        model.know_words(reader.word_vectors)
        model.get_parameter("encoders.text.pool.fc.bias").data.fill_(9.0)
        model.get_parameter("encoders.text.pool.fc.weight").data.mul_(100)
        padded, alone = (model(one, ("text",))["text"].embeddings for one in (batch, shorter))
        full = shorter.is_word.all(dim=1)
        assert full.any()
        assert torch.allclose(padded[full], alone[full], atol=1e-5) == is_same
        again = described_model(model.described, model.state_dict())
        assert isinstance(again, Mcn)
        again.know_words(reader.word_vectors)
        assert torch.equal(again(batch, ("text",))["text"].embeddings, padded)


def test_the_learning_rate_rises_over_a_tenth_of_a_stage_at_most(reader: ClipReader) -> None:
    batch = TrainingBatches(reader, SAMPLING)[0]

    def rates(**changed: Any) -> list[float]:
        model = new_model(SMALL, reader.dims)
        model.know_words(reader.word_vectors)
        config = replace(SMALL, warmup_steps=8, **changed)
        trainer = StageTrainer(config, config.stage.value[-1], model, num_steps=20)
        return [trainer.step(batch, step).lr / config.lr for step in (1, 2, 4, 8)]

    assert rates() == pytest.approx([0.5, 1.0, 0.9698, 0.75], abs=1e-4)
    assert rates(warmup_limit="none") == [1 / 8, 2 / 8, 4 / 8, 1.0]


def test_all_clips_are_queued_and_half_of_them_as_published(reader: ClipReader) -> None:
    batch = TrainingBatches(reader, SAMPLING)[0]
    is_kept = every_second_clip(batch.video_numbers)
    kept = [video_id for video_id, one in zip(batch.video_ids, is_kept, strict=True) if one]
    assert Counter(kept) == {v: -(-n // 2) for v, n in Counter(batch.video_ids).items()}

    ours, first = first_step(reader, queue_size=1000)
    published, same = first_step(reader, queue_size=1000, queued_clips="half")
    assert len(clusterer_of(ours).queue.filled()) == len(batch)
    assert len(clusterer_of(published).queue.filled()) == len(kept)
    # The whole batch is clustered in either case.
    assert first.terms == same.terms


@pytest.mark.parametrize("num_batches, untouched", [(2, False), (0, True)])
def test_inputs_are_brought_to_one_scale(
    reader: ClipReader, num_batches: int, untouched: bool
) -> None:
    model = new_model(SMALL, reader.dims)
    set_input_statistics(model, TrainingBatches(reader, SAMPLING), num_batches=num_batches)
    for one in model.standardizers().values():
        is_nothing = bool((one.mean == 0).all() and (one.std == 1).all())
        assert is_nothing == untouched
    assert PUBLISHED["statistics_batches"] == 0


def test_a_run_of_before_an_option_has_its_default(tmp_path: Path) -> None:
    run, data = RunFolder(tmp_path), {"video": "0"}
    run.claim(SMALL, data)
    content = yaml.safe_load(run.config.read_text())
    for name in ADDED_LATER:
        assert content["train"].pop(name) == getattr(SMALL, name)
    run.config.write_text(yaml.safe_dump(content))
    run.check(SMALL, data)
    with pytest.raises(ValueError, match="queued_clips: 'all' there, 'half' asked for"):
        run.check(replace(SMALL, queued_clips="half"), data)
    del content["train"]["margin"]  # what was otherwise before it was an option is not guessed
    run.config.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match="margin: None there"):
        run.check(SMALL, data)


def test_the_preset_has_the_published_value_of_every_option_and_trains(store: Path) -> None:
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
