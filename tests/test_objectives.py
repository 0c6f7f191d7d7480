import math

import pytest
import torch
import torch.nn.functional as F

from mcn.losses import cluster_loss, mms_loss, products
from mcn.modality import MODALITIES, Modality
from mcn.models.mcn import Encoded
from mcn.objectives import Stage
from mcn.terms import Clusters, fuse, mcn_terms, overlapping_clips


def encoded_clips(clips: int) -> dict[Modality, Encoded]:
    return {
        m: Encoded(F.normalize(torch.randn(clips, 6), dim=1).requires_grad_(), torch.rand(clips))
        for m in MODALITIES
    }


def everything(clips: int) -> dict[Modality, torch.Tensor]:
    return {m: torch.ones(clips, dtype=torch.bool) for m in MODALITIES}


def test_every_order_trains_all_three_modalities_and_each_once() -> None:
    for stage in Stage:
        trained = [m for objective in stage.value for m in objective.trained]
        assert sorted(trained) == sorted(MODALITIES), stage


def test_the_second_stage_has_no_term_between_frozen_modalities() -> None:
    _, second = Stage.AV_T.value
    assert second.pairs == (("video", "text"), ("audio", "text"))
    assert second.clustered == ("video", "audio")


def test_all_at_once_has_three_pairs() -> None:
    (only,) = Stage.AVT.value
    assert only.pairs == (("video", "audio"), ("video", "text"), ("audio", "text"))


def test_the_terms_are_the_losses_of_the_clips_that_have_the_modalities() -> None:
    encoded, has = encoded_clips(6), everything(6)
    has["audio"] = torch.tensor([True, False, True, True, True, False])
    clusters = Clusters(torch.randn(3, 6), torch.tensor([0, 1, 2, -1, 0, 1]))
    objective = Stage.AV_T.value[0]
    terms = mcn_terms(objective, encoded, has, clusters, margin=0.1, temperature=0.5)

    audible = [0, 2, 3, 4]
    video, audio = encoded["video"].embeddings, encoded["audio"].embeddings
    expected = mms_loss(video[audible] @ audio[audible].T / 0.5, margin=0.1)
    torch.testing.assert_close(terms["loss/mms/video-audio"], expected)
    expected = encoded["audio"].reconstruction_error[audible].mean()
    torch.testing.assert_close(terms["loss/reconstruction/audio"], expected)
    clustered = [0, 2, 4]
    expected = cluster_loss(
        audio[clustered],
        clusters.centroids,
        clusters.assignments[clustered],
        margin=0.1,
        temperature=0.5,
    )
    torch.testing.assert_close(terms["loss/cluster/audio"], expected)
    assert set(terms) == {
        "loss/mms/video-audio",
        *(f"loss/{kind}/{m}" for kind in ("cluster", "reconstruction") for m in objective.trained),
    }


def test_what_a_missing_modality_holds_changes_nothing() -> None:
    encoded, has = encoded_clips(4), everything(4)
    has["video"][1] = False
    objective = Stage.AVT.value[0]
    before = mcn_terms(objective, encoded, has, None, margin=0.1, temperature=1.0)
    poisoned = encoded["video"].embeddings.detach().clone()
    poisoned[1] = torch.nan
    encoded["video"] = Encoded(poisoned, encoded["video"].reconstruction_error)
    after = mcn_terms(objective, encoded, has, None, margin=0.1, temperature=1.0)
    assert {k: v.item() for k, v in before.items()} == {k: v.item() for k, v in after.items()}


def test_a_modality_that_no_clip_has_drops_its_terms() -> None:
    encoded, has = encoded_clips(4), everything(4)
    has["audio"][:] = False
    terms = mcn_terms(Stage.AV_T.value[0], encoded, has, None, margin=0.1, temperature=1.0)
    assert set(terms) == {"loss/reconstruction/video"}


def test_clips_overlap_where_they_share_a_part_of_a_video() -> None:
    clips = [(0, 0.0, 5.0), (0, 4.5, 9.0), (0, 9.0, 12.0), (1, 4.5, 9.0), (0, 0.0, math.inf)]
    clips += [(2, 1.0, 2.0), (2, 1.0, 2.0)]  # drawn twice
    plain = [
        [
            i != j and of == other and max(start, from_) < min(end, until)
            for j, (other, from_, until) in enumerate(clips)
        ]
        for i, (of, start, end) in enumerate(clips)
    ]
    numbers = torch.tensor([video for video, _, _ in clips])
    seconds = torch.tensor([times for _, *times in clips], dtype=torch.float64)
    overlapping = overlapping_clips(numbers, seconds)
    assert overlapping.tolist() == plain
    assert overlapping.sum() == 2 * 5


def test_clips_that_are_not_negatives_take_no_part_in_each_others_contrast() -> None:
    encoded, has = encoded_clips(6), everything(6)
    has["video"] = torch.tensor([True, True, False, True, True, True])
    apart = torch.zeros(6, 6, dtype=torch.bool)
    for one, other in ((0, 1), (1, 3), (2, 5)):
        apart[one, other] = apart[other, one] = True
    terms = mcn_terms(
        Stage.AV_T.value[0], encoded, has, None, margin=0.1, temperature=0.5, not_negatives=apart
    )
    scores = products(encoded["video"].embeddings, encoded["audio"].embeddings).tolist()
    total = 0.0
    seen = [0, 1, 3, 4, 5]
    for i in seen:
        rivals = [j for j in seen if j != i and not apart[i, j]]
        own = math.exp(scores[i][i] / 0.5 - 0.1)
        for against in ([scores[i][j] for j in rivals], [scores[j][i] for j in rivals]):
            total -= math.log(own / (own + sum(math.exp(s / 0.5) for s in against))) / 5
    contrast = terms["loss/mms/video-audio"]
    assert contrast.item() == pytest.approx(total, rel=1e-5)
    contrast.backward()
    assert all(
        embeddings.grad is not None and embeddings.grad.isfinite().all()
        for embeddings in (encoded["video"].embeddings, encoded["audio"].embeddings)
    )


def test_fused_is_the_mean_over_what_a_clip_has() -> None:
    encoded, has = encoded_clips(3), everything(3)
    has["audio"][1] = False
    has["audio"][2] = has["video"][2] = False
    fused, present = fuse(encoded, has, ("video", "audio"))
    video, audio = encoded["video"].embeddings, encoded["audio"].embeddings
    torch.testing.assert_close(fused[0], (video[0] + audio[0]) / 2)
    torch.testing.assert_close(fused[1], video[1])
    assert present.tolist() == [True, True, False]
