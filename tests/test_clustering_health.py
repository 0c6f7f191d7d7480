import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from mcn.clustering.health import assignment_entropy, normalized_mutual_information


def entropy_by_a_loop(labels: list[object]) -> float:
    shares = [count / len(labels) for count in Counter(labels).values()]
    return -sum(share * math.log(share) for share in shares)


def nmi_by_a_loop(left: list[int], right: list[int]) -> float:
    """Mutual information by its definition, over the mean of the entropies."""
    total, pairs = len(left), Counter(zip(left, right, strict=True))
    of_left, of_right = Counter(left), Counter(right)
    information = sum(
        n / total * math.log(n * total / (of_left[a] * of_right[b])) for (a, b), n in pairs.items()
    )
    return 2 * information / (entropy_by_a_loop([*left]) + entropy_by_a_loop([*right]))


def labels(clusters: int, seed: int) -> Tensor:
    return torch.randint(clusters, (200,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("clusters", [2, 5, 17])
def test_entropy_equals_a_plain_loop(clusters: int) -> None:
    drawn = labels(clusters, seed=0).square() % clusters
    expected = entropy_by_a_loop(drawn.tolist()) / math.log(clusters)
    assert assignment_entropy(drawn, clusters=clusters) == pytest.approx(expected)


def test_entropy_is_1_for_equal_clusters_and_0_for_a_collapse() -> None:
    assert assignment_entropy(torch.arange(4).repeat(5), clusters=4) == pytest.approx(1.0)
    assert assignment_entropy(torch.full((20,), 3), clusters=4) == 0.0
    assert assignment_entropy(torch.zeros(20, dtype=torch.long), clusters=1) == 1.0


@pytest.mark.parametrize("shapes", [(2, 2), (5, 9), (17, 3)])
def test_nmi_equals_a_plain_loop(shapes: tuple[int, int]) -> None:
    left, noise = labels(shapes[0], seed=0), labels(shapes[1], seed=1)
    right = torch.where(torch.arange(200) % 3 == 0, noise, left % shapes[1])
    expected = nmi_by_a_loop(left.tolist(), right.tolist())
    assert 0 < expected < 1
    assert normalized_mutual_information(left, right) == pytest.approx(expected)
    assert normalized_mutual_information(right, left) == pytest.approx(expected)


def test_nmi_is_1_under_another_numbering_and_0_for_independent_labels() -> None:
    left = torch.arange(6).repeat(6)
    assert normalized_mutual_information(left, (left + 2) % 6) == pytest.approx(1.0)
    crossed = torch.arange(6).repeat_interleave(6)
    assert normalized_mutual_information(left, crossed) == pytest.approx(0.0, abs=1e-12)
    collapsed = torch.zeros_like(left)
    assert normalized_mutual_information(left, collapsed) == pytest.approx(0.0, abs=1e-12)
    assert normalized_mutual_information(collapsed, collapsed) == 1.0


def test_rows_without_a_cluster_do_not_count() -> None:
    left, right = labels(4, seed=0), labels(4, seed=1)
    gaps = torch.arange(200) % 7 == 0
    expected = normalized_mutual_information(left[~gaps], right[~gaps])
    assert normalized_mutual_information(left.masked_fill(gaps, -1), right) == expected
    alone = assignment_entropy(left[~gaps], clusters=4)
    assert assignment_entropy(left.masked_fill(gaps, -1), clusters=4) == alone
