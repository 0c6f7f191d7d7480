"""What XDC learns from: its rows of the table, its draws and its loss, against plain loops."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from mcn.data.batches import ClipBatch
from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import StoredClips, clips_with_both
from mcn.data.stores import WITHOUT_WORDS, open_stores
from mcn.modality import Modality
from mcn.models.xdc import Xdc, XdcDims
from mcn.objectives import TERMS
from mcn.training.xdc.clustering import category_numbers
from mcn.training.xdc.draws import DrawnBatches, Draws, LabelSet
from mcn.training.xdc.learner import XdcLearner
from tests.stores import DIMS, FEATURES, write_stores

METHODS = ("sdc", "mdc", "cdc", "xdc")
SETS: tuple[LabelSet, ...] = (("video",), ("audio",), ("video", "audio"))
NUM_CLIPS, CLUSTERS = 40, 4


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> StoredClips:
    folder = tmp_path_factory.mktemp("store")
    write_stores(folder, num_videos=9)
    reader = MediaReader(open_stores(folder, FEATURES, sources=WITHOUT_WORDS))
    return clips_with_both(reader, clip_seconds=4.0, most_per_video=5)


def some_labels() -> dict[LabelSet, Tensor]:
    """Of skewed sizes; one clip has no picture and two no sound, so three not both."""
    generator = np.random.default_rng(3)
    labels = {
        label_set: torch.from_numpy(generator.choice(CLUSTERS, NUM_CLIPS, p=[0.7, 0.2, 0.05, 0.05]))
        for label_set in SETS
    }
    labels["video",][7] = -1
    labels["audio",][[8, 9]] = -1
    labels["video", "audio"][[7, 8, 9]] = -1
    return labels


def draws_of(method: str, labels: dict[LabelSet, Tensor], batch_size: int = 24) -> Draws:
    rows = TERMS[f"xdc-{method}"]
    known = {term.labels_of: labels[term.labels_of] for term in rows}
    return Draws(rows, known, seed=5, round_number=2, batch_size=batch_size)


def model_of(method: str) -> Xdc:
    torch.manual_seed(1)
    dims = XdcDims(video=DIMS["video"], audio=DIMS["audio"], clusters=CLUSTERS, hidden=16, out=8)
    model = Xdc(dims, method=method)
    model.renew_heads(3)
    for parameter in model.heads.parameters():
        torch.nn.init.normal_(parameter)
    return model


def loss_of(
    method: str, model: Xdc, labels: dict[LabelSet, Tensor], draws: Draws, batch: ClipBatch
) -> dict[str, Tensor]:
    learner = XdcLearner(model, torch.device("cpu"))
    learner.learn_from(labels, draws)
    logits = learner.encode(model, batch)
    return learner.terms(logits, learner.look(logits, batch, None))


def test_each_method_says_in_the_table_whose_clusters_a_modality_learns() -> None:
    learnt = {
        method: {(term.left, term.labels_of) for term in TERMS[f"xdc-{method}"]}
        for method in METHODS
    }
    own = {("video", ("video",)), ("audio", ("audio",))}
    others = {("video", ("audio",)), ("audio", ("video",))}
    both: LabelSet = ("video", "audio")
    assert learnt["sdc"] == own and learnt["xdc"] == others and learnt["mdc"] == own | others
    assert learnt["cdc"] == {("video", both), ("audio", both)}


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_that_of_a_plain_loop_over_clips(method: str, clips: StoredClips) -> None:
    labels, model = some_labels(), model_of(method)
    draws = draws_of(method, labels)
    batch = DrawnBatches(clips, draws)[3]
    batch.has["video"][5] = False  # was there when it was clustered
    found = loss_of(method, model, labels, draws, batch)
    turn = len(TERMS[f"xdc-{method}"])
    chances = {
        term.name: plain_chances(labels, term.left, term.labels_of)
        for term in TERMS[f"xdc-{method}"]
    }
    for term in TERMS[f"xdc-{method}"]:
        features = model.features(batch, term.left)
        total = weight_sum = 0.0
        for place, number in enumerate(batch.numbers.tolist()):
            if chances[term.name][number] == 0 or not batch.has[term.left][place]:
                continue
            mixed = sum(chance[number] for chance in chances.values()) / turn
            weight = chances[term.name][number] / mixed
            scores = model.head_of(term)(features[place]).tolist()
            own = scores[int(labels[term.labels_of][number])]
            total += weight * (math.log(sum(math.exp(score) for score in scores)) - own)
            weight_sum += weight
        assert found[term.name].item() == pytest.approx(total / weight_sum, rel=1e-4)


def plain_chances(
    labels: dict[LabelSet, Tensor], left: Modality, labels_of: LabelSet
) -> list[float]:
    """Of each clip to be drawn, if first a cluster is drawn and then one that can learn it."""
    own = labels[labels_of].tolist()
    lacks = {"video": {7}, "audio": {8, 9}}[left]
    can = [label >= 0 and number not in lacks for number, label in enumerate(own)]
    sizes = Counter(label for label, able in zip(own, can, strict=True) if able)
    return [
        1 / (len(sizes) * sizes[label]) if able else 0.0
        for label, able in zip(own, can, strict=True)
    ]


def test_an_encoder_of_xdc_learns_nothing_of_its_own_clusters(clips: StoredClips) -> None:
    labels, model = some_labels(), model_of("xdc")
    # As numbers, so that what is drawn and what counts stays the same.
    renumbered = {**labels, ("video",): permuted(labels["video",])}
    draws = draws_of("xdc", labels)
    batch = DrawnBatches(clips, draws)[0]
    gradients: dict[str, list[Tensor]] = {"video": [], "audio": []}
    for told in (labels, renumbered):
        model.zero_grad()
        sum(loss_of("xdc", model, told, draws, batch).values(), torch.zeros(())).backward()
        for name, grads in gradients.items():
            grads.append(model.get_parameter(f"encoders.{name}.out.weight").grad.clone())
    assert gradients["video"][0].equal(gradients["video"][1])
    assert not gradients["audio"][0].allclose(gradients["audio"][1])


def permuted(labels: Tensor) -> Tensor:
    return torch.where(labels >= 0, (labels + 1) % CLUSTERS, -1)


@pytest.mark.parametrize("method", METHODS)
def test_every_term_sees_its_own_clusters_equally_often(method: str) -> None:
    labels = some_labels()
    draws = draws_of(method, labels)
    drawn = np.concatenate([draws.numbers(step) for step in range(1000)])
    for term in TERMS[f"xdc-{method}"]:
        weights = draws.weights[term.name][drawn].double()
        assert weights.max() <= len(TERMS[f"xdc-{method}"]) + 1e-6
        own = labels[term.labels_of][drawn]
        seen = torch.zeros(CLUSTERS, dtype=torch.float64)
        seen.index_add_(0, own[weights > 0], weights[weights > 0])
        torch.testing.assert_close(
            seen / len(drawn), torch.full_like(seen, 1 / CLUSTERS), rtol=0.06, atol=0.0
        )


def test_with_one_clustering_for_all_every_clip_drawn_counts_alike() -> None:
    weights = draws_of("cdc", some_labels()).weights
    for of_clips in weights.values():
        assert set(of_clips.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_that_lacks_what_a_term_needs_counts_in_none_and_is_drawn_for_none(
    method: str,
) -> None:
    labels = some_labels()
    draws = draws_of(method, labels)
    drawn = set(np.concatenate([draws.numbers(step) for step in range(300)]).tolist())
    useful = torch.stack(list(draws.weights.values())).sum(dim=0) > 0
    assert drawn == set(useful.nonzero().flatten().tolist())
    assert {7, 8, 9} & drawn == ({7, 8, 9} if method in ("sdc", "mdc") else set())


def test_clusters_that_are_empty_are_not_drawn() -> None:
    labels = some_labels()
    labels["audio",][labels["audio",] == 2] = 1
    numbers = draws_of("xdc", labels).numbers(0)
    assert len(numbers) == 24


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 5])
def test_ranks_take_shares_of_the_same_batches_however_many_they_are(
    num_ranks: int, clips: StoredClips
) -> None:
    draws = draws_of("xdc", some_labels())
    shares = [DrawnBatches(clips, draws, rank=r, world_size=num_ranks)[4] for r in range(num_ranks)]
    assert [n for share in shares for n in share.numbers.tolist()] == draws.numbers(4).tolist()
    again = draws_of("xdc", some_labels())
    assert (again.numbers(4) == draws.numbers(4)).all()
    assert (again.numbers(5) != draws.numbers(4)).any()


def test_heads_are_made_anew_by_their_seed_alone() -> None:
    model = model_of("mdc")
    model.renew_heads(3)
    first = [parameter.clone() for parameter in model.heads.parameters()]
    torch.manual_seed(77)
    model.renew_heads(4)
    assert not any(map(torch.equal, first[::2], list(model.heads.parameters())[::2]))
    model.renew_heads(3)
    assert all(map(torch.equal, first, model.heads.parameters()))


def test_categories_are_numbered_and_videos_without_one_have_none() -> None:
    known = {"a": "cooking", "b": "", "c": "gardening"}
    numbers = category_numbers(["a", "a", "b", "c", "x"], known)
    assert numbers.tolist() == [0, 0, -1, 1, -1]
