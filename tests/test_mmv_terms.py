"""MMV's terms against plain loops, and the captions that may describe a clip."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.data.batches import NO_WORD, clips_that_lack_all, collate
from mcn.data.clip_reader import ClipReader
from mcn.data.clips import nearest_captions
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.modality import Modality, Place
from mcn.models.mmv import Mmv, MmvDims
from mcn.objectives import TERMS, Stage, settled_terms, terms_of
from mcn.terms import mmv_terms, overlapping_clips
from tests.published_runs import SAMPLING
from tests.stores import FEATURES, WORDS_PER_CLIP, write_stores

CLIPS, CANDIDATES, TEMPERATURE = 7, 3, 0.2
SOUNDLESS, WORDLESS, UNSEEN = 2, 4, 5


def embedded_clips() -> dict[Place, Tensor]:
    torch.manual_seed(0)
    shapes: dict[Place, tuple[int, ...]] = {
        ("video", "fine"): (CLIPS, 6),
        ("audio", "fine"): (CLIPS, 6),
        ("video", "coarse"): (CLIPS, 4),
        ("text", "coarse"): (CLIPS, CANDIDATES, 4),
    }
    return {
        place: F.normalize(torch.randn(shape, dtype=torch.float64), dim=-1).requires_grad_()
        for place, shape in shapes.items()
    }


def what_clips_have() -> dict[Modality, Tensor]:
    has: dict[Modality, Tensor] = {
        "video": torch.ones(CLIPS, dtype=torch.bool),
        "audio": torch.ones(CLIPS, dtype=torch.bool),
        "text": torch.ones(CLIPS, CANDIDATES, dtype=torch.bool),
    }
    has["video"][UNSEEN] = has["audio"][SOUNDLESS] = False
    has["text"][WORDLESS] = False
    has["text"][0, 2] = has["text"][3, 0] = False
    return has


def overlaps() -> Tensor:
    apart = torch.zeros(CLIPS, CLIPS, dtype=torch.bool)
    for one, other in ((0, 1), (3, 6), (2, 5)):
        apart[one, other] = apart[other, one] = True
    return apart


def terms_now(embedded: dict[Place, Tensor], apart: Tensor | None) -> dict[str, Tensor]:
    return mmv_terms(
        TERMS["mmv-fac"],
        embedded,
        what_clips_have(),
        temperature=TEMPERATURE,
        not_negatives={} if apart is None else {"nce": apart, "mil-nce": apart},
    )


def plain_contrast(video: Tensor, others: Tensor, apart: Tensor, *, is_mil: bool) -> Tensor:
    """Mean of -log(own / (own + rivals)) over the clips that take part, entry by entry."""
    has = what_clips_have()
    there = has["text"] if is_mil else has["audio"][:, None]
    seen = [i for i in range(CLIPS) if has["video"][i] and there[i].any()]
    assert len(seen) == CLIPS - 2

    def worth(i: int, j: int) -> list[Tensor]:
        return [
            (video[i] @ others[j, c] / TEMPERATURE).exp()
            for c in range(others.shape[1])
            if there[j, c]
        ]

    total = torch.zeros((), dtype=torch.float64)
    for i in seen:
        own = torch.stack(worth(i, i)).sum()
        rivals = [w for j in seen if j != i and not apart[i, j] for w in worth(i, j) + worth(j, i)]
        # As MIL-NCE is coded, its own candidates count in the row and in the column.
        below = (2 if is_mil else 1) * own + torch.stack(rivals).sum()
        total = total - (own / below).log()
    return total / len(seen)


@pytest.mark.parametrize("has_overlaps", [False, True])
def test_both_terms_and_their_gradients_are_those_of_a_plain_loop(has_overlaps: bool) -> None:
    apart = overlaps() if has_overlaps else torch.zeros(CLIPS, CLIPS, dtype=torch.bool)
    fast, slow = embedded_clips(), embedded_clips()
    terms = terms_now(fast, apart if has_overlaps else None)
    expected = {
        "loss/nce/video-audio": plain_contrast(
            slow["video", "fine"], slow["audio", "fine"][:, None], apart, is_mil=False
        ),
        "loss/mil-nce/video-text": plain_contrast(
            slow["video", "coarse"], slow["text", "coarse"], apart, is_mil=True
        ),
    }
    assert terms.keys() == expected.keys()
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name])
    torch.stack([*terms.values()]).sum().backward()
    torch.stack([*expected.values()]).sum().backward()
    for place, rows in fast.items():
        assert rows.grad is not None and slow[place].grad is not None
        assert rows.grad.isfinite().all()
        torch.testing.assert_close(rows.grad, slow[place].grad)


def test_what_a_clip_lacks_changes_nothing_whatever_stands_in_its_place() -> None:
    before = terms_now(embedded_clips(), None)
    filled = {place: rows.detach().clone() for place, rows in embedded_clips().items()}
    for space in ("fine", "coarse"):
        filled["video", space][UNSEEN] = math.nan
    filled["audio", "fine"][SOUNDLESS] = math.nan
    filled["text", "coarse"][WORDLESS] = math.nan
    filled["text", "coarse"][0, 2] = 1e6
    after = terms_now(filled, None)
    assert {k: v.item() for k, v in before.items()} == {k: v.item() for k, v in after.items()}


def test_a_term_for_which_no_clip_has_both_modalities_is_left_out() -> None:
    has = what_clips_have()
    has["audio"][:] = False
    terms = mmv_terms(TERMS["mmv-fac"], embedded_clips(), has, temperature=TEMPERATURE)
    assert terms.keys() == {"loss/mil-nce/video-text"}


def test_the_table_says_which_terms_a_stage_has_and_which_are_settled() -> None:
    first, second = Stage.AV_T.value
    nce, mil_nce = TERMS["mmv-fac"]
    assert terms_of("mmv-fac", first) == (nce,)
    assert terms_of("mmv-fac", second) == (mil_nce,)
    assert settled_terms("mmv-fac", second) == (nce,)
    assert settled_terms("mmv-fac", first) == ()
    assert terms_of("mmv-fac", Stage.AT_V.value[0]) == ()


# Candidates.


def test_candidates_are_the_captions_nearest_in_time_that_the_clip_does_not_have() -> None:
    starts, ends = [0.0, 4.0, 8.0, 12.0, 40.0], [4.0, 8.0, 12.0, 16.0, 44.0]
    assert nearest_captions(starts, ends, (1, 2), number=2) == [0, 2]
    assert nearest_captions(starts, ends, (1, 3), number=9) == [0, 3, 4]
    assert nearest_captions(starts, ends, (4, 5), number=1) == [3]
    assert nearest_captions(starts, ends, (0, 5), number=3) == []


def test_a_batch_has_the_clips_own_words_first_and_no_word_where_there_are_no_more(
    tmp_path: Path,
) -> None:
    write_stores(tmp_path, num_videos=3, clips_per_video=3)
    reader = ClipReader(open_stores(tmp_path, FEATURES))
    sampling = replace(SAMPLING, clips_per_video=3, candidates=4)
    batch = TrainingBatches(reader, sampling)[0]
    alone = TrainingBatches(reader, replace(sampling, candidates=1))[0]
    assert alone.other_words is None
    assert torch.equal(batch.words, alone.words)
    words, is_word = batch.candidates
    assert words.shape == (9, 4, SAMPLING.max_words)
    assert torch.equal(words[:, 0], alone.words) and torch.equal(is_word[:, 0], alone.is_word)
    assert batch.other_words is not None
    # Each word of these stores is its own: a caption is known by the first.
    for row, (start, _) in enumerate(batch.seconds.tolist()):
        own, spoken = int(start) // 4, words[row, :3, 0] // WORDS_PER_CLIP % 3
        assert sorted(spoken.tolist()) == [0, 1, 2] and spoken[0] == own
    assert (batch.other_words[:, 2] == NO_WORD).all()
    assert is_word.sum(dim=2).tolist() == [[WORDS_PER_CLIP] * 3 + [0]] * 9
    part = batch[2:5]
    assert part.other_words is not None and torch.equal(part.other_words, batch.other_words[2:5])


def test_a_caption_near_a_clip_is_no_rival_of_a_clip_that_has_it_too(tmp_path: Path) -> None:
    write_stores(tmp_path, num_videos=3)
    reader = ClipReader(open_stores(tmp_path, FEATURES))
    batch = TrainingBatches(reader, replace(SAMPLING, clips_per_video=5, candidates=3))[0]
    assert batch.told_seconds is not None
    apart = overlapping_clips(batch.video_numbers, batch.told_seconds)
    words, is_word = batch.candidates  # in these stores every word is said once
    said = [set(words[clip][is_word[clip]].tolist()) for clip in range(len(batch))]
    shared = [
        (one, other)
        for one in range(len(batch))
        for other in range(len(batch))
        if one != other and said[one] & said[other]
    ]
    assert shared and all(apart[pair] for pair in shared)
    assert not apart.all()


def test_a_rank_without_clips_has_no_embeddings(tmp_path: Path) -> None:
    write_stores(tmp_path, num_videos=3)
    reader = ClipReader(open_stores(tmp_path, FEATURES))
    model = Mmv(MmvDims(**reader.dims), space="fac")
    model.know_words(reader.word_vectors)
    none = collate([clips_that_lack_all(0, reader.dims, max_words=3, candidates=4)])
    places = tuple(place for term in TERMS["mmv-fac"] for place in term.places)
    embedded = model(none, places)
    assert {place: len(rows) for place, rows in embedded.items()} == dict.fromkeys(places, 0)
    assert embedded["text", "coarse"].shape[1] == 4
