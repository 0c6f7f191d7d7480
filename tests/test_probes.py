"""Classifiers of videos by rows of their clips: what they learn, and from whom."""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.data.batches import ClipBatch, ClipRows, Clips, collate
from mcn.data.clip_source import Places
from mcn.data.labelled_videos import LabelledVideos, Split
from mcn.modality import MmvSpace, Modality, Space
from mcn.models.mmv import Mmv, MmvDims
from mcn.probes.chance import majority_accuracy
from mcn.probes.clip_rows import HeldRows, MadeRows
from mcn.probes.footing import FeaturesAlone, ModelRows
from mcn.probes.frozen import classify_frozen
from mcn.probes.intervals import accuracy_difference, accuracy_interval
from mcn.probes.learnt import ClipClassifier, LearntProbe
from mcn.probes.rows import RowsOfClips, rows_of_clips
from mcn.probes.settings import ProbeSettings
from mcn.probes.sides import TooFewClassesError, Videos, ranks_of_own_class, sides_of, videos_of

CPU = torch.device("cpu")
DIM = 6
QUICK = ProbeSettings(epochs=4, batch_size=8, lr=0.05, encoder_lr=0.01, strengths="0.01,0.1,1")


def labelled_videos(
    *, num_classes: int = 3, groups_per_class: int = 6, videos_per_group: int = 3
) -> LabelledVideos:
    """Of the groups of each class the first third is tested."""
    labels: dict[str, int] = {}
    groups: dict[str, str] = {}
    train: list[str] = []
    test: list[str] = []
    for label in range(num_classes):
        for group in range(groups_per_class):
            for video in range(videos_per_group):
                video_id = f"c{label}-g{group}-v{video}"
                labels[video_id], groups[video_id] = label, f"c{label}-g{group}"
                (test if group < groups_per_class / 3 else train).append(video_id)
    return LabelledVideos(
        tuple(f"class{label}" for label in range(num_classes)),
        MappingProxyType(labels),
        MappingProxyType(groups),
        (Split(tuple(train), tuple(test)),),
        ("video",),
    )


def planted_rows(labelled: LabelledVideos, *, spread: float, seed: int = 0) -> RowsOfClips:
    """Two clips a video around a centre for each class."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(labelled.classes), DIM))
    ids = [video_id for video_id in labelled.labels for _ in range(2)]
    rows = np.stack([centres[labelled.labels[v]] + spread * rng.normal(size=DIM) for v in ids])
    return RowsOfClips(ids, torch.from_numpy(rows).float(), np.ones(len(ids), bool))


class PlantedClips:
    """Rows of clips as features of video; remembers which were read with a draw, and which."""

    def __init__(self, rows: RowsOfClips) -> None:
        self.rows = rows
        seconds = np.tile([0.0, 1.0], (len(rows.video_ids), 1))
        self.places = Places(rows.video_ids, seconds)
        self.dims: dict[Modality, int] = {"video": DIM, "audio": 4}
        self.drawn: list[tuple[str, int]] = []

    def read(self, numbers: Sequence[int], *, draw: int | None = None) -> ClipBatch:
        ids = [self.places.video_ids[number] for number in numbers]
        if draw is not None:
            self.drawn += [(video_id, draw) for video_id in ids]
        there = np.ones(1, bool)
        return collate(
            [
                Clips(
                    video_id,
                    self.places.seconds[[number]],
                    ClipRows(self.rows.rows[[number]].numpy(), there),
                    ClipRows(np.zeros((1, 4), np.float32), ~there),
                    np.empty((1, 0), np.int32),
                )
                for video_id, number in zip(ids, numbers, strict=True)
            ]
        )


def shuffled(labelled: LabelledVideos) -> LabelledVideos:
    """Each video has the label of another; whole groups would still be learnt by heart."""
    ids = list(labelled.labels)
    order = np.random.default_rng(1).permutation(len(ids))
    labels = {video_id: labelled.labels[ids[k]] for video_id, k in zip(ids, order, strict=True)}
    return replace(labelled, labels=labels)


def frozen_accuracy(labelled: LabelledVideos, rows: RowsOfClips) -> float:
    sides = sides_of(labelled, 0, {}, "Planted")
    train, test = rows.means(sides.train.ids), rows.means(sides.test.ids)
    scores, _ = classify_frozen(sides.train, train, test, QUICK)
    return float((ranks_of_own_class(scores, sides.test.labels) == 0).mean())


def test_classes_that_lie_apart_are_told_apart() -> None:
    labelled = labelled_videos()
    assert frozen_accuracy(labelled, planted_rows(labelled, spread=0.1)) == 1


def test_shuffled_labels_are_found_by_chance() -> None:
    labelled = labelled_videos(groups_per_class=30)
    rows = planted_rows(labelled, spread=0.1)
    assert abs(frozen_accuracy(shuffled(labelled), rows) - 1 / 3) < 0.17


def test_probabilities_are_those_of_plain_logistic_regression() -> None:
    """Standardised by hand; the convex loss brought to its minimum by another method."""
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=1.0)
    sides = sides_of(labelled, 0, {}, "Planted")
    train, test = rows.means(sides.train.ids), rows.means(sides.test.ids)
    scores, chosen = classify_frozen(sides.train, train, test, QUICK)
    mean, std = train.mean(axis=0), train.std(axis=0)
    x, y = torch.from_numpy((train - mean) / std), torch.from_numpy(sides.train.labels)
    weight = torch.zeros(3, DIM, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        errors = F.cross_entropy(x @ weight.T + bias, y, reduction="sum")
        total: Tensor = chosen["C"] * errors + weight.square().sum() / 2
        total.backward()
        return total

    optimizer.step(loss)
    with torch.no_grad():
        plain = (torch.from_numpy((test - mean) / std) @ weight.T + bias).softmax(dim=1)
    assert chosen["C"] in QUICK.tried
    np.testing.assert_allclose(scores, plain.numpy(), atol=2e-3)


def test_ranks_count_the_classes_that_are_as_likely() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7]])
    ranks = ranks_of_own_class(scores, np.array([0, 1, 0]))
    assert ranks.tolist() == [0, 1, 2]


def test_a_video_without_a_score_is_wrong_whatever_the_other_classes_have() -> None:
    nan = np.nan
    scores = np.array([[nan, nan, nan], [nan, 0.2, 0.8], [0.6, nan, 0.4]])
    assert ranks_of_own_class(scores, np.array([0, 0, 0])).tolist() == [3, 3, 1]


def test_a_loss_that_is_not_finite_ends_a_probe() -> None:
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=0.3)
    sides = sides_of(labelled, 0, {}, "Planted")
    probe = learnt(rows, "linear")
    probe.settings = replace(QUICK, weight_decay=1e30)
    with pytest.raises(FloatingPointError, match=r"not finite in epoch 1: lower --probe.lr"):
        probe.classify(sides.train, sides.test)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0.0),
        ("lr", np.nan),
        ("encoder_lr", np.inf),
        ("weight_decay", -1.0),
        ("validation", 0.8),
        ("clip_seconds", np.nan),
        ("strengths", "1,nan"),
    ],
)
def test_settings_by_which_nothing_can_be_learnt_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"--probe.{name.replace('_', '-')}"):
        replace(QUICK, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["linear", "finetune"])
def test_a_learnt_layer_tells_classes_apart_and_repeats_itself(way: str) -> None:
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=0.3)
    sides = sides_of(labelled, 0, {}, "Planted")
    found = [learnt(rows, way).classify(sides.train, sides.test) for _ in range(2)]
    (scores, chosen), (again, _) = found
    assert (ranks_of_own_class(scores, sides.test.labels) == 0).mean() > 0.8
    assert 1 <= chosen["epochs"] <= QUICK.epochs
    np.testing.assert_array_equal(scores, again)
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def learnt(rows: RowsOfClips, way: str, model: Mmv | None = None) -> LearntProbe:
    """On the features themselves by default, where nothing can be tuned."""

    def new_rows() -> MadeRows:
        footing = FeaturesAlone(("video",)) if model is None else ModelRows(model, ("video",))
        return MadeRows(footing, PlantedClips(rows), CPU, learns=way == "finetune")

    first = rows if model is None else of_model(model, rows)
    return LearntProbe(new_rows, first, QUICK, num_classes=3, device=CPU)


def of_model(model: Mmv, rows: RowsOfClips) -> RowsOfClips:
    return rows_of_clips(ModelRows(model, ("video",)), PlantedClips(rows), CPU)


def small_mmv() -> Mmv:
    dims = MmvDims(video=DIM, audio=4, text=5, fine=8, coarse=4, sentence=6)
    return Mmv(dims, space="fac").eval()


def test_a_linear_layer_leaves_the_model_as_it_is_and_fine_tuning_changes_its_encoder() -> None:
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=0.3)
    train = sides_of(labelled, 0, {}, "Planted").train
    model = small_mmv()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def changed(way: str) -> set[str]:
        learnt(rows, way, model).classify(train, train)
        return {n for n, value in model.state_dict().items() if not value.equal(before[n])}

    assert changed("linear") == set()
    tuned = changed("finetune")
    assert {name.split(".")[1] for name in tuned} == {"video"}
    assert "heads.video.hidden.weight" in tuned
    assert "heads.video.hidden_norm.running_mean" in tuned


def test_rows_of_a_fixed_clip_need_not_be_made_again() -> None:
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=0.3)
    model = small_mmv()
    sides = sides_of(labelled, 0, {}, "Planted")
    held = LearntProbe(
        lambda: HeldRows(of_model(model, rows).rows, CPU),
        of_model(model, rows),
        QUICK,
        num_classes=3,
        device=CPU,
    )
    by_rows, _ = held.classify(sides.train, sides.test)
    by_clips, _ = learnt(rows, "linear", model).classify(sides.train, sides.test)
    np.testing.assert_allclose(by_rows, by_clips, atol=1e-5)


@pytest.mark.parametrize(("space", "finest"), [("fac", "fine"), ("disjoint", "video-audio")])
def test_a_probe_stands_on_the_finest_space_of_a_modality(space: MmvSpace, finest: Space) -> None:
    dims = MmvDims(video=DIM, audio=4, text=5, fine=8, coarse=4, sentence=6)
    model = Mmv(dims, space=space).eval()
    rows = planted_rows(labelled_videos(), spread=0.3)
    batch = PlantedClips(rows).read([0, 3, 7])
    embedded = model.embed(batch, ("video", "audio"), finest)
    both = ModelRows(model, ("video", "audio"))(batch)
    assert torch.equal(both, torch.cat([embedded["video"], embedded["audio"]], dim=1))


def test_of_spectrograms_alone_the_mean_over_their_sound_frames_is_taken() -> None:
    batch = PlantedClips(planted_rows(labelled_videos(), spread=0.3)).read([0, 1])
    frames = torch.arange(2 * 3 * 4, dtype=torch.float16).reshape(2, 3, 4)
    heard = replace(batch, audio=frames, audio_frames=torch.tensor([4, 2]))
    expected = torch.stack([frames[0].float().mean(dim=1), frames[1, :, :2].float().mean(dim=1)])
    assert torch.equal(FeaturesAlone(("audio",))(heard), expected)


def test_clips_that_are_read_ahead_by_others_are_the_same() -> None:
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=0.3)
    clips, footing = PlantedClips(rows), FeaturesAlone(("video",))
    ahead = MadeRows(footing, clips, CPU, learns=False, is_held=False)
    parts = [[5, 1, 4], [0], [7, 8]]
    for numbers, (found, there) in zip(parts, ahead.each(parts, draw=3), strict=True):
        assert torch.equal(found, rows.rows[numbers])
        assert there.all()
    made = rows_of_clips(footing, clips, CPU, is_held=False)
    assert torch.equal(made.rows, rows.rows)


def test_what_is_tested_decides_nothing_that_is_learnt() -> None:
    """Test rows of another world change neither what is chosen nor what is made of a known row."""
    labelled = labelled_videos()
    sides = sides_of(labelled, 0, {}, "Planted")
    sound = planted_rows(labelled, spread=1.0)
    is_tested = np.isin(sound.video_ids, sides.test.ids)
    other = sound.rows.clone()
    other[torch.from_numpy(is_tested)] = 1e6
    strange = replace(sound, rows=other)
    known = sound.means(sides.train.ids)
    for train in (sound, strange):
        assert np.array_equal(train.means(sides.train.ids), known)
    frozen = []
    for rows in (sound, strange):
        asked = np.concatenate([known, rows.means(sides.test.ids)])
        frozen.append(classify_frozen(sides.train, known, asked, QUICK))
    assert frozen[0][1] == frozen[1][1]
    np.testing.assert_array_equal(frozen[0][0][: len(known)], frozen[1][0][: len(known)])
    learned = [learnt(rows, "linear") for rows in (sound, strange)]
    assert (
        learned[0].classify(sides.train, sides.test)[1]
        == (learned[1].classify(sides.train, sides.test)[1])
    )
    of_train = [probe.classify(sides.train, sides.train)[0] for probe in learned]
    np.testing.assert_array_equal(of_train[0], of_train[1])


def test_clips_are_drawn_anew_in_each_epoch_and_only_for_training() -> None:
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=0.3)
    sides = sides_of(labelled, 0, {}, "Planted")
    clips = PlantedClips(rows)
    LearntProbe(
        lambda: MadeRows(FeaturesAlone(("video",)), clips, CPU, learns=False),
        rows,
        replace(QUICK, validation=0.0),
        num_classes=3,
        device=CPU,
    ).classify(sides.train, sides.test)
    assert {video_id for video_id, _ in clips.drawn} == set(sides.train.ids)
    assert {draw for _, draw in clips.drawn} == set(range(QUICK.epochs))
    assert len(clips.drawn) == QUICK.epochs * 2 * len(sides.train.ids)


class SometimesSilent(PlantedClips):
    """In a training draw every third clip cannot be read, and what stands there is absurd."""

    def read(self, numbers: Sequence[int], *, draw: int | None = None) -> ClipBatch:
        batch = super().read(numbers, draw=draw)
        if draw is None:
            return batch
        lost = torch.tensor(numbers) % 3 == 0
        video = torch.where(lost[:, None], 1e6, batch.video)
        return replace(batch, video=video, has={**batch.has, "video": ~lost})


def test_clips_that_cannot_be_read_in_training_teach_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labelled = labelled_videos()
    rows = planted_rows(labelled, spread=0.3)
    sides = sides_of(labelled, 0, {}, "Planted")
    probe = LearntProbe(
        lambda: MadeRows(FeaturesAlone(("video",)), SometimesSilent(rows), CPU, learns=False),
        rows,
        replace(QUICK, validation=0.0),
        num_classes=3,
        device=CPU,
    )
    scores, _ = probe.classify(sides.train, sides.test)
    assert (ranks_of_own_class(scores, sides.test.labels) == 0).mean() > 0.8
    assert "clips could not be read in epoch 1" in capsys.readouterr().out


def test_a_unit_that_is_nearly_dead_is_not_blown_up() -> None:
    rows = planted_rows(labelled_videos(), spread=0.3)
    first = torch.cat([rows.rows[:, 1:], 1e-7 * rows.rows[:, :1]], dim=1)
    classifier = ClipClassifier(HeldRows(first, CPU), first, 3)
    alive = torch.cat([first[:, :-1], first[:, -1:] + 0.1], dim=1)
    assert classifier.standardize(alive)[:, -1].abs().max() < 100


def test_groups_stay_together_wherever_something_is_chosen() -> None:
    train = sides_of(labelled_videos(), 0, {}, "Planted").train
    groups = np.array(train.groups)
    folds = list(train.folds(3, seed=0).split(train.ids, train.labels, train.groups))
    assert len(folds) == 3
    for kept, held in folds:
        assert not set(groups[kept]) & set(groups[held])


def test_a_class_without_training_videos_is_left_out_and_two_classes_have_to_be_left() -> None:
    labelled = labelled_videos()
    of_class = {
        label: [v for v in labelled.splits[0].train if labelled.labels[v] == label]
        for label in (0, 1)
    }
    few = of_class[1][1:]
    sides = sides_of(labelled, 0, dict.fromkeys(few, "corrupt"), "Planted")
    assert sides.untaught == (1,)
    assert set(sides.train.labels) == {0, 2}
    assert {0, 1, 2} == set(sides.test.labels)
    train = sides.train
    for kept, held in train.folds(3, seed=0).split(train.ids, train.labels, train.groups):
        assert len(kept) and len(held)
    sides = sides_of(labelled, 0, dict.fromkeys(few[1:], "corrupt"), "Planted")
    assert sides.num_left_out == len(few) - 1
    assert not sides.untaught
    few += of_class[0][1:]
    with pytest.raises(TooFewClassesError, match=r"Planted: fewer than two classes .* split 1"):
        sides_of(labelled, 0, dict.fromkeys(few, "corrupt"), "Planted")


def test_naming_the_most_frequent_classes_is_right_as_often_as_counted() -> None:
    train = np.array([0] * 5 + [1] * 3 + [2] * 3 + [3])
    test = np.array([0, 0, 1, 2, 2, 3, 3, 3])
    assert majority_accuracy(train, test, 1) == 2 / 8
    # Classes 1 and 2 share the second place: each is named every other time.
    assert majority_accuracy(train, test, 2) == pytest.approx((2 + 0.5 + 1) / 8)
    assert majority_accuracy(train, test, 5) == 1


def by_group(num_groups: int, size: int, chance: float, seed: int) -> tuple[np.ndarray, list[str]]:
    """Videos of a group are right or wrong together."""
    right = np.random.default_rng(seed).random(num_groups) < chance
    names = [f"film{group}" for group in range(num_groups) for _ in range(size)]
    return right.repeat(size).astype(float), names


def names_of(hits: np.ndarray) -> list[str]:
    return [f"video{k}" for k in range(len(hits))]


def test_intervals_know_that_videos_of_one_film_are_alike() -> None:
    hits, groups = by_group(60, 6, 0.6, seed=0)
    alike = accuracy_interval([[hits]], [groups], [names_of(hits)])
    alone = accuracy_interval([[hits]], [names_of(hits)], [names_of(hits)])
    assert alike.value == alone.value == hits.mean()
    assert alike.high - alike.low > 2 * (alone.high - alone.low)


def test_accuracy_is_the_mean_over_splits_of_whatever_size() -> None:
    (few, of_few), (many, of_many) = by_group(20, 1, 0.5, seed=1), by_group(80, 2, 0.9, seed=2)
    of_many = [f"other-{name}" for name in of_many]
    ids = [names_of(few), [f"other-{name}" for name in names_of(many)]]
    found = accuracy_interval([[few, many]], [of_few, of_many], ids)
    assert found.value == pytest.approx((few.mean() + many.mean()) / 2)
    assert found.low < found.value < found.high


def test_a_film_that_is_tested_in_several_splits_is_drawn_for_all_of_them() -> None:
    """Splits that repeat each other tell no more than one of them."""
    hits, groups = by_group(60, 2, 0.6, seed=3)
    ids = names_of(hits)
    once = accuracy_interval([[hits]], [groups], [ids])
    thrice = accuracy_interval([[hits] * 3], [groups] * 3, [ids] * 3)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_seeds_stand_together_and_differences_are_paired() -> None:
    hits, groups = by_group(60, 2, 0.5, seed=4)
    better = hits.copy()
    better[np.flatnonzero(hits == 0)[:20]] = 1
    ids = [names_of(hits)]
    both = accuracy_interval([[hits], [better]], [groups], ids)
    assert both.value == pytest.approx((hits.mean() + better.mean()) / 2)
    more = accuracy_difference([better], [hits], [groups], ids)
    assert more.value == pytest.approx(20 / 120)
    assert 0 < more.low < more.value < more.high
    one = accuracy_interval([[hits]], [groups], ids)
    assert more.high - more.low < one.high - one.low
    assert accuracy_difference([hits], [hits], [groups], ids).value == 0


def test_intervals_have_a_width_where_all_is_right() -> None:
    groups = [f"film{k}" for k in range(30)]
    found = accuracy_interval([[np.ones(30)]], [groups], [groups])
    assert found.value == found.high == 1
    assert found.low < 0.95


@pytest.mark.parametrize("num_films", [3, 8])
def test_a_video_of_several_splits_and_seeds_counts_once(num_films: int) -> None:
    """Whether there are films enough to draw from or not; where some, none or all are right."""
    ids = [f"film{film}-{video}" for film in range(num_films) for video in range(4)]
    films = [name.split("-")[0] for name in ids]
    some = (np.arange(len(ids)) % 3 == 0).astype(float)
    for hits in (np.zeros(len(ids)), np.ones(len(ids)), some):
        once = accuracy_interval([[hits]], [films], [ids])
        often = accuracy_interval([[hits] * 3] * 2, [films] * 3, [ids] * 3)
        assert (often.low, often.high) == pytest.approx((once.low, once.high))
        less = accuracy_difference([hits], [some], [films], [ids])
        same = accuracy_difference([hits] * 3, [some] * 3, [films] * 3, [ids] * 3)
        assert (same.low, same.high) == pytest.approx((less.low, less.high))


def test_where_all_are_right_films_count_and_not_their_videos() -> None:
    hits = np.ones(40)
    films, ids = [f"film{k // 4}" for k in range(40)], names_of(hits)
    of_films = accuracy_interval([[np.ones(10)]], [films[::4]], [ids[::4]])
    assert accuracy_interval([[hits]], [films], [ids]) == of_films


def test_settings_that_mean_nothing_are_refused() -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {"ways": "frozen,svm"},
        {"modalities": "text"},
        {"strengths": "1,x"},
        {"strengths": "0"},
        {"epochs": 0},
        {"folds": 1},
        {"validation": 1.0},
        {"clip_seconds": 0.0},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match="--probe"):
            ProbeSettings(**wrong)


def test_videos_keep_their_order() -> None:
    labelled = labelled_videos()
    ids = labelled.splits[0].test[::-1]
    videos = videos_of(labelled, ids)
    assert isinstance(videos, Videos)
    assert videos.only(np.array([2, 0])).ids == (ids[2], ids[0])
