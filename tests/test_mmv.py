"""MMV from training to retrieval, on small stores: what its publication promises, and what holds
for every run.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from mcn.data.batches import ClipBatch
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.evaluation.directions import DIRECTIONS, spaces_of_directions
from mcn.evaluation.retrieval import retrieval_metrics
from mcn.evaluation.zero_shot import embed_benchmark, load_model
from mcn.modality import MMV_SPACES, MODALITIES, MmvSpace
from mcn.models.mmv import Mmv
from mcn.objectives import TERMS, Stage
from mcn.training.checkpoint import load_checkpoint
from mcn.training.config import Runtime, TrainConfig
from mcn.training.distributed import process_group, rank, world_size
from mcn.training.loop import train
from mcn.training.model import new_model
from mcn.training.presets import MMV
from mcn.training.run_folder import RunFolder, read_metrics
from mcn.training.stage import StageTrainer
from slurm.local import run_ranks
from tests.published_runs import SAMPLING
from tests.stores import FEATURES, write_stores

CONFIG = TrainConfig(
    stage=Stage.AVT,
    **MMV,
    batch_size=8,
    clips_per_video=4,
    stage1_epochs=4,
    stage2_epochs=3,
    lr=1e-3,
    min_clip_seconds=2.0,
    max_words=3,
)
MANY_STAGES = (Stage.AVT, Stage.AV_T, Stage.VT_A)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_stores(root / "store")
    write_stores(root / "heldout", num_videos=12, seed=1)
    return root


def train_here(
    root: Path, config: TrainConfig, name: str = "", runtime: Runtime | None = None
) -> RunFolder:
    run = RunFolder(root / "runs" / (name or config.name))
    train(config, runtime or Runtime(), open_stores(root / "store", FEATURES), run)
    return run


@pytest.fixture(scope="module")
def trained(root: Path) -> dict[MmvSpace, RunFolder]:
    return {space: train_here(root, replace(CONFIG, space=space)) for space in MMV_SPACES}


def model_of(run: RunFolder) -> Mmv:
    model = load_model(load_checkpoint(run.final))
    assert isinstance(model, Mmv)
    return model


def recall_at_10(scores: torch.Tensor) -> float:
    return retrieval_metrics(scores)["R@10"]


# What the publication promises.


@torch.inference_mode()
def test_any_single_modality_goes_in(root: Path, trained: dict[MmvSpace, RunFolder]) -> None:
    reader = ClipReader(open_stores(root / "heldout", FEATURES))
    batch = TrainingBatches(reader, SAMPLING)[0]
    for space, run in trained.items():
        model = model_of(run)
        model.know_words(reader.word_vectors)
        for modality in MODALITIES:
            alone = only(batch, modality)
            for own_space, together in model.spaces.items():
                if modality in together:
                    whole = model.embed(batch, (modality,), own_space)[modality]
                    found = model.embed(alone, (modality,), own_space)[modality]
                    has = batch.has[modality]
                    assert torch.equal(found[has], whole[has]), f"{modality}, {space}"
                    assert found[has].norm(dim=1).allclose(torch.ones(int(has.sum())))


def only(batch: ClipBatch, modality: str) -> ClipBatch:
    """The clips as if they had nothing but this modality."""
    return replace(
        batch,
        video=batch.video if modality == "video" else torch.zeros_like(batch.video),
        audio=batch.audio if modality == "audio" else torch.zeros_like(batch.audio),
        is_word=batch.is_word if modality == "text" else torch.zeros_like(batch.is_word),
        has={m: mask if m == modality else mask & False for m, mask in batch.has.items()},
    )


def test_spaces_respect_granularity() -> None:
    compared = {(term.left, term.right, term.space) for term in TERMS["mmv-fac"]}
    assert compared == {("video", "audio", "fine"), ("video", "text", "coarse")}
    assert ("text", "fine") not in model_in(Stage.AVT).paths


def model_in(stage: Stage, space: MmvSpace = "fac") -> Mmv:
    config = replace(CONFIG, stage=stage, space=space)
    model = new_model(config, {"video": 12, "audio": 10, "text": 8})
    assert isinstance(model, Mmv)
    return model


def test_modalities_never_seen_together_are_compared_where_the_spaces_allow(
    root: Path, trained: dict[MmvSpace, RunFolder]
) -> None:
    stores = open_stores(root / "heldout", FEATURES)
    for space, run in trained.items():
        assert {name for row in read_metrics(run.metrics) for name in row if "/" in name} == {
            "loss/nce/video-audio",
            "loss/mil-nce/video-text",
        }
        found = embed_benchmark(model_of(run), stores, max_words=20)
        by_chance = 10 / len(found.video_ids)
        if space == "disjoint":
            with pytest.raises(ValueError, match="text cannot be compared with audio"):
                found.similarity("t2a")
        else:
            assert recall_at_10(found.similarity("t2a")) > 2 * by_chance, space


def test_every_space_finds_unseen_clips_in_every_way_it_allows(
    root: Path, trained: dict[MmvSpace, RunFolder]
) -> None:
    stores = open_stores(root / "heldout", FEATURES)
    for space, run in trained.items():
        model = model_of(run)
        ways = spaces_of_directions(model.spaces)
        assert set(ways) == ({"t2v", "v2t", "v2a", "a2v"} if space == "disjoint" else {*DIRECTIONS})
        embedded = {
            own_space: embed_benchmark(model, stores, max_words=20, space=own_space)
            for own_space in model.spaces
        }
        for direction, own_space in ways.items():
            found = recall_at_10(embedded[own_space].similarity(direction))
            assert found > 0.4, f"{space}, {direction}"


# Which part learns when.


def test_an_order_in_which_a_stage_has_no_term_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="--stage AT_V: MMV never compares audio and text"):
        replace(CONFIG, stage=Stage.AT_V)


def test_mcn_is_not_given_what_only_mmv_has() -> None:
    for option in ({"space": "shared"}, {"candidates": 3}):
        with pytest.raises(ValueError, match="give --model mmv too"):
            TrainConfig(stage=Stage.AVT, **option)


@pytest.mark.parametrize(
    "space, stage, learning",
    [
        ("fac", Stage.AVT, [{"video", "audio", "coarse", "text"}]),
        ("fac", Stage.AV_T, [{"video", "audio"}, {"coarse", "text"}]),
        ("fac", Stage.VT_A, [{"video", "coarse", "text"}, {"audio"}]),
        ("shared", Stage.AV_T, [{"video", "audio"}, {"text"}]),
        ("disjoint", Stage.AV_T, [{"video", "audio"}, {"video-to-text", "text"}]),
        ("disjoint", Stage.VT_A, [{"video-to-text", "text"}, {"video", "audio"}]),
    ],
)
def test_a_head_learns_in_the_first_stage_with_a_term_on_its_path_and_then_stands_still(
    space: MmvSpace, stage: Stage, learning: list[set[str]]
) -> None:
    model = model_in(stage, space)
    config = replace(CONFIG, stage=stage, space=space)
    for objective, expected in zip(stage.value, learning, strict=True):
        StageTrainer(config, objective, model, num_steps=10)
        assert {name for name, head in model.heads.items() if head.training} == expected
        grows = {n.split(".")[1] for n, p in model.named_parameters() if p.requires_grad}
        assert grows == expected


def test_sound_leaves_the_statistics_of_the_shared_head_alone(root: Path) -> None:
    reader = ClipReader(open_stores(root / "store", FEATURES))
    batch = TrainingBatches(reader, SAMPLING)[0]
    after = []
    for sound in (batch.audio, 5 * batch.audio + 3):
        model = model_in(Stage.AVT)
        model.know_words(reader.word_vectors)
        trainer = StageTrainer(CONFIG, CONFIG.stage.value[0], model, num_steps=10)
        trainer.step(replace(batch, audio=sound), 0)
        after.append(dict(model.get_submodule("heads.coarse").named_buffers()))
    assert after[0].keys() == after[1].keys() != set()
    assert all(torch.equal(after[0][name], after[1][name]) for name in after[0])


# What holds for every run.


def test_a_run_stopped_and_carried_on_ends_with_the_bytes_of_one_left_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, stage=Stage.AV_T, stage1_epochs=1, stage2_epochs=1)
    undisturbed = train_here(root, config, "undisturbed")
    step, killed_at = StageTrainer.step, {1, 4}

    def mortal(self: StageTrainer, batch: ClipBatch, number: int) -> object:
        place = number + 3 * (self.objective.frozen != ())
        if place in killed_at:
            killed_at.remove(place)
            raise KeyboardInterrupt
        return step(self, batch, number)

    monkeypatch.setattr(StageTrainer, "step", mortal)
    often = Runtime(checkpoint_every_steps=1)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_here(root, config, "killed", often)
    killed = train_here(root, config, "killed", often)
    assert killed.final.read_bytes() == undisturbed.final.read_bytes()
    assert killed.metrics.read_bytes() == undisturbed.metrics.read_bytes()


def test_a_step_that_goes_wrong_is_named_and_leaves_no_trace(root: Path) -> None:
    reader = ClipReader(open_stores(root / "store", FEATURES))
    batch = TrainingBatches(reader, SAMPLING)[0]
    model = model_in(Stage.AVT)
    model.know_words(reader.word_vectors)
    trainer = StageTrainer(CONFIG, CONFIG.stage.value[0], model, num_steps=10)
    assert trainer.step(batch, 0).fault is None
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fault = trainer.step(replace(batch, audio=torch.full_like(batch.audio, 3e38)), 1).fault
    assert fault is not None
    assert (fault.what, fault.modality) == ("embeddings", "audio")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_products_in_half_precision_begin_with_the_same_loss(
    root: Path, trained: dict[MmvSpace, RunFolder]
) -> None:
    config = replace(CONFIG, precision="bf16", stage1_epochs=1, stage2_epochs=0)
    losses = [row["loss"] for row in read_metrics(train_here(root, config, "bf16").metrics)]
    exact = read_metrics(trained["fac"].metrics)[0]["loss"]
    assert losses[0] != exact and losses[0] == pytest.approx(exact, rel=0.02)
    assert len(losses) == 3


Outcome = tuple[float, dict[str, torch.Tensor]]


def first_steps(store: Path) -> dict[str, Outcome]:
    """Loss, gradients and statistics after a step of this rank's share of a batch, in which not
    all clips have sound.
    """
    reader = ClipReader(open_stores(store, FEATURES))
    outcomes = {}
    for stage in MANY_STAGES:
        for space in MMV_SPACES if stage is Stage.AVT else ("fac",):
            for number, objective in enumerate(stage.value):
                config = replace(CONFIG, stage=stage, space=space, min_clip_seconds=6.0)
                sampling = replace(SAMPLING, batch_size=7, candidates=3, min_clip_seconds=6.0)
                shares = TrainingBatches(reader, sampling, rank=rank(), world_size=world_size())
                model = new_model(config, reader.dims)
                model.know_words(reader.word_vectors)
                loss = StageTrainer(config, objective, model, num_steps=10).step(shares[0], 0).loss
                tensors = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
                tensors |= {n: b for n, b in model.named_buffers() if "running" in n}
                outcomes[f"{space}-{stage.name}-{number}"] = (loss, tensors)
    return outcomes


def step_as_rank(store: Path) -> None:
    with process_group():
        torch.save(first_steps(store), store.parent / f"rank{rank()}.pt")


@pytest.mark.slow
def test_two_ranks_have_loss_gradients_and_batch_norms_of_one(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_stores(store, num_videos=7)  # of which the ranks have four and three
    alone = first_steps(store)
    run_ranks(partial(step_as_rank, store), num_ranks=2)
    for number in range(2):
        outcomes = torch.load(tmp_path / f"rank{number}.pt")
        assert outcomes.keys() == alone.keys()
        for name, (loss, tensors) in outcomes.items():
            expected_loss, expected = alone[name]
            assert loss == pytest.approx(expected_loss, rel=1e-5), name
            assert tensors.keys() == expected.keys() != set()
            for key, value in tensors.items():
                # A batch norm undoes the bias before it, whose gradient is therefore but rounding.
                atol = max(1e-4 * float(expected[key].abs().max()), 1e-7)
                torch.testing.assert_close(
                    value, expected[key], rtol=1e-3, atol=atol, msg=f"{name}, {key}"
                )
