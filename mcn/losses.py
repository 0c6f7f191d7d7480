"""Losses as pure functions. Row `i` and column `i` of a similarity matrix are the same clip.

They compute in the precision they are given, but never in less than float32: half precision has
too few digits for a softmax over thousands of clips, and overflows in the products before it.
A plain call has the published behaviour: raw products, no temperature, the margin as coded.
A similarity of no clips, or of another shape, is a ValueError, and so is a temperature that is not
positive.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def mms_loss(
    similarity: Float[Tensor, "clips clips"], *, margin: float = 1e-3
) -> Float[Tensor, ""]:
    """Masked margin softmax loss (Ilharco et al., 2019), row and column cross-entropy summed.

    The margin is taken off the diagonal, in the denominator too, as MCN does.
    """
    _check_square(similarity)
    logits = _at_least_float32(similarity)
    logits = logits - margin * torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    targets = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)


def nce_loss(similarity: Float[Tensor, "clips clips"], *, temperature: float) -> Float[Tensor, ""]:
    """Noise-contrastive loss of MMV (Alayrac et al., 2020), against both directions at once.

    The mean of -log(p / (p + rivals)), where p is a clip's own entry and its rivals are all the
    others of its row and of its column, each as exp(similarity / temperature).
    """
    _check_square(similarity)
    _check_temperature(temperature)
    logits = _at_least_float32(similarity) / temperature
    own = logits.diagonal()
    is_own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    column_rivals = logits.T.masked_fill(is_own, -torch.inf)  # the row has p already
    return (torch.cat((logits, column_rivals), dim=1).logsumexp(dim=1) - own).mean()


def mil_nce_loss(
    similarity: Float[Tensor, "videos texts"], *, candidates: int, temperature: float = 1.0
) -> Float[Tensor, ""]:
    """MIL-NCE (Miech et al., 2020): some of a video's candidate texts describe it, unsaid which.

    As coded there: a video's own candidates are in its row and in its column of rivals, and so
    count twice below the line; the loss cannot fall below log 2.

    Args:
        similarity: Videos against texts, the candidates of one video side by side.
        candidates: Texts of each video.
        temperature: What similarities are divided by.

    Raises:
        ValueError: If there are not as many texts as candidates of all videos, or none.
    """
    videos, texts = similarity.shape
    if texts != videos * candidates:
        raise ValueError(f"{videos} videos with {candidates} candidates each have no {texts} texts")
    if not texts:
        raise ValueError(f"{videos} videos with {candidates} candidates each: there is no text")
    _check_temperature(temperature)
    logits = (_at_least_float32(similarity) / temperature).view(videos, videos, candidates)
    own = logits.diagonal().T  # (videos, candidates)
    rivals = torch.cat((logits, logits.transpose(0, 1)), dim=1).flatten(start_dim=1)
    return (rivals.logsumexp(dim=1) - own.logsumexp(dim=1)).mean()


def cluster_loss(
    embeddings: Float[Tensor, "clips dim"],
    centroids: Float[Tensor, "clusters dim"],
    assignments: Int[Tensor, " clips"],
    *,
    margin: float = 1e-3,
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    """Draw each clip towards the centroid it is assigned to (MCN; Chen et al., 2021).

    The centroids are targets: no gradient flows into them. A clip assigned to none, as k-means
    assigns -1 to what is not finite, is left out of the mean; where all are the loss is 0.

    Raises:
        ValueError: If there is not one assignment for each clip.
    """
    if assignments.shape != embeddings.shape[:1]:
        raise ValueError(f"{tuple(assignments.shape)} assignments for {len(embeddings)} clips")
    _check_temperature(temperature)
    # Before the product: a gradient of zero times a number that is not finite is not finite.
    (assigned,) = (assignments >= 0).nonzero(as_tuple=True)
    similarity = products(embeddings[assigned], centroids.detach()) / temperature
    if not len(assigned):
        return similarity.sum()  # 0, from which a gradient still comes
    targets = assignments[assigned].long()
    own = F.one_hot(targets, num_classes=len(centroids)).to(similarity.dtype)
    return F.cross_entropy(similarity - margin * own, targets)


def max_margin_loss(
    similarity: Float[Tensor, "clips clips"],
    *,
    margin: float = 0.1,
    clips_per_video: int = 1,
    intra_video_rate: float | None = None,
) -> Float[Tensor, ""]:
    """Ranking loss of HowTo100M (Miech et al., 2019): own entries lead by a margin, both ways.

    The mean is over all entries, the diagonal included, which adds a constant.

    Args:
        similarity: Own entries on the diagonal, clips of one video side by side.
        margin: By how much an own entry is to exceed the others of its row and column.
        clips_per_video: Clips of each video.
        intra_video_rate: Share of the weight that goes to entries within a video, however few
            they are beside the others; without it all entries weigh the same.

    Raises:
        ValueError: If the clips are not those of whole videos.
    """
    _check_square(similarity)
    if clips_per_video < 1 or len(similarity) % clips_per_video:
        raise ValueError(f"{len(similarity)} clips are not {clips_per_video} of each video")
    scores = _at_least_float32(similarity)
    own = scores.diagonal()
    losses = F.relu(margin + scores - own[:, None]) + F.relu(margin + scores - own[None, :])
    if intra_video_rate is None:
        return losses.mean()
    videos = len(scores) // clips_per_video
    video = torch.arange(len(scores), device=scores.device) // clips_per_video
    within = videos * intra_video_rate
    across = videos * (1 - intra_video_rate) / max(videos - 1, 1)
    is_within = (video[:, None] == video[None, :]).to(losses.dtype)
    return ((across + (within - across) * is_within) * losses).mean()


def products(
    left: Float[Tensor, "left dim"], right: Float[Tensor, "right dim"]
) -> Float[Tensor, "left right"]:
    """Every row of one side times every row of the other, in at least float32.

    Under autocast too, which would multiply in half precision whatever the inputs are.
    """
    with torch.autocast(left.device.type, enabled=False):
        rows = _at_least_float32(left)
        return rows @ right.to(rows.dtype).T


def _check_square(similarity: Tensor) -> None:
    if similarity.shape != 2 * similarity.shape[:1] or not len(similarity):
        raise ValueError(
            f"a similarity of shape {tuple(similarity.shape)}: as many rows as columns are needed, "
            "and at least one"
        )


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature} and must be positive")


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
