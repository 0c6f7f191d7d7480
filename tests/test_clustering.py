import inspect
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcn.choices import EngineName
from mcn.clustering import FeatureQueue, kmeans
from mcn.clustering.engines import ENGINES
from mcn.clustering.health import normalized_mutual_information
from mcn.clustering.lloyd import Clustering, _sums_by_products, cluster, finite_rows
from mcn.clustering.seeding import spread_out
from mcn.clustering.subspace import DIMS, reduce_dims
from mcn.clustering.torch_engine import LEAST_DIMS, RoundedRows

EVERY_ENGINE = pytest.mark.parametrize("engine", list(ENGINES))
EVERY_PRECISION = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
EITHER_KIND = pytest.mark.parametrize("spherical", [True, False], ids=["cosine", "distance"])


def blobs(clusters: int, per_cluster: int, dim: int = 8) -> tuple[Tensor, Tensor]:
    """Rows around well separated directions, and the direction each belongs to."""
    centers = 10 * torch.eye(clusters, dim)
    labels = torch.arange(clusters).repeat(per_cluster)
    return centers[labels] + 0.1 * torch.randn(len(labels), dim), labels


def same_partition(left: Tensor, right: Tensor) -> bool:
    return torch.equal(left[:, None] == left[None, :], right[:, None] == right[None, :])


def distance(row: Tensor, centroid: Tensor) -> float:
    return float((row - centroid).square().sum())


def fill_empty_by_a_loop(rows: list[Tensor], labels: list[int], centroids: list[Tensor]) -> None:
    """An empty cluster takes the row farthest from its own centroid that is not alone there."""
    distances = [distance(row, centroids[k]) for row, k in zip(rows, labels, strict=True)]
    taken: set[int] = set()
    for empty in [k for k in range(len(centroids)) if k not in labels]:
        free = [i for i, k in enumerate(labels) if labels.count(k) > 1 and i not in taken]
        worst = max(free, key=lambda i: distances[i])
        labels[worst] = empty
        taken.add(worst)


def kmeans_by_a_loop(
    features: Tensor, initial: Tensor, iterations: int, *, spherical: bool
) -> tuple[Tensor, list[int]]:
    rows = [row / row.norm() if spherical else row for row in features]
    centroids = [row / row.norm() if spherical else row for row in initial]

    def labels_of_all() -> list[int]:
        nearest = [
            min(range(len(centroids)), key=lambda k, row=row: distance(row, centroids[k]))  # type: ignore[misc]
            for row in rows
        ]
        fill_empty_by_a_loop(rows, nearest, centroids)
        return nearest

    labels = labels_of_all()
    for _ in range(iterations):
        members = [
            [row for row, label in zip(rows, labels, strict=True) if label == k]
            for k in range(len(centroids))
        ]
        centroids = [torch.stack(group).mean(dim=0) for group in members]
        if spherical:
            centroids = [centroid / centroid.norm() for centroid in centroids]
        labels = labels_of_all()
    return torch.stack(centroids), labels


@EVERY_ENGINE
@EITHER_KIND
def test_well_separated_clusters_are_found(engine: EngineName, spherical: bool) -> None:
    rows, labels = blobs(5, 20)
    _, assignments = kmeans(rows, clusters=5, initial=rows[:5], spherical=spherical, engine=engine)
    assert same_partition(assignments, labels)


@EITHER_KIND
@pytest.mark.parametrize("dim", [64, 2 * LEAST_DIMS])
def test_almost_all_well_separated_clusters_are_found_anew(spherical: bool, dim: int) -> None:
    rows, labels = blobs(30, 40, dim)
    _, assignments = kmeans(rows, clusters=30, spherical=spherical)
    assert normalized_mutual_information(assignments, labels) > 0.97


@EVERY_ENGINE
def test_initial_centroids_keep_their_numbers(engine: EngineName) -> None:
    rows, labels = blobs(5, 20)
    _, assignments = kmeans(rows, clusters=5, initial=10 * torch.eye(5, 8), engine=engine)
    assert torch.equal(assignments, labels)


@EVERY_ENGINE
@EITHER_KIND
@pytest.mark.parametrize("iterations", [0, 1, 6])
@pytest.mark.parametrize("num_dead", [0, 2])
def test_kmeans_equals_a_plain_loop(
    engine: EngineName, spherical: bool, iterations: int, num_dead: int
) -> None:
    rows = torch.rand(60, 6, dtype=torch.float64)
    far_away = -3 - torch.arange(num_dead)[:, None] * torch.ones(num_dead, 6, dtype=rows.dtype)
    initial = torch.cat((rows[:5], far_away))
    expected, labels = kmeans_by_a_loop(rows, initial, iterations, spherical=spherical)
    got, assignments = kmeans(
        rows,
        clusters=5 + num_dead,
        initial=initial,
        iterations=iterations,
        spherical=spherical,
        engine=engine,
    )
    torch.testing.assert_close(got.double(), expected, atol=1e-5, rtol=1e-5)
    assert assignments.tolist() == labels


@EVERY_ENGINE
@EITHER_KIND
def test_what_is_told_of_a_fit_is_what_a_loop_finds(engine: EngineName, spherical: bool) -> None:
    rows = torch.rand(60, 6)
    initial = torch.cat((rows[:4], -torch.ones(1, 6), -2 * torch.ones(1, 6)))
    found = cluster(
        rows,
        clusters=6,
        initial=initial,
        seed=0,
        spherical=spherical,
        iterations=3,
        engine=ENGINES[engine],
    )
    compared = F.normalize(rows, dim=1) if spherical else rows
    started = F.normalize(initial, dim=1) if spherical else initial
    owns = zip(compared, found.assignments.tolist(), strict=True)
    mean = sum(distance(row, found.centroids[own]) for row, own in owns) / len(rows)
    assert found.inertia == pytest.approx(mean, rel=1e-5)
    assert found.num_reseeded == 2
    first = [min(range(6), key=lambda k, r=row: distance(r, started[k])) for row in compared]  # type: ignore[misc]
    assert found.first_assignments.tolist() == first


@EVERY_ENGINE
@EVERY_PRECISION
def test_no_cluster_comes_out_empty(engine: EngineName, dtype: torch.dtype) -> None:
    rows = torch.cat((torch.ones(50, 4), torch.randn(6, 4))).to(dtype)
    dead = torch.full((6, 4), -1.0)
    centroids, assignments = kmeans(rows, clusters=6, initial=dead, engine=engine)
    assert torch.bincount(assignments, minlength=6).min() > 0
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(6))


@EVERY_ENGINE
@EITHER_KIND
def test_identical_rows_still_fill_every_cluster(engine: EngineName, spherical: bool) -> None:
    centroids, assignments = kmeans(
        torch.ones(10, 3), clusters=4, spherical=spherical, engine=engine
    )
    assert torch.bincount(assignments, minlength=4).min() > 0
    assert centroids.isfinite().all()


@EVERY_ENGINE
@EVERY_PRECISION
@EITHER_KIND
def test_a_row_that_is_not_finite_moves_nothing(
    engine: EngineName, dtype: torch.dtype, spherical: bool
) -> None:
    rows = blobs(3, 10)[0].to(dtype)
    bad = torch.zeros(3, 8)
    bad[0, 2], bad[1, 5], bad[2, 0] = torch.nan, torch.inf, -torch.inf
    fit = partial(kmeans, clusters=3, initial=rows[:3], spherical=spherical, engine=engine)
    alone, labels = fit(rows)
    centroids, assignments = fit(torch.cat((rows[:4], bad.to(dtype), rows[4:])))
    assert torch.equal(centroids, alone)
    assert assignments.tolist() == [*labels[:4].tolist(), -1, -1, -1, *labels[4:].tolist()]


def test_rows_whose_sum_overflows_are_finite() -> None:
    rows = torch.full((4, 8), 60_000.0).half()
    rows[1, 3] = torch.nan
    rows[2, 3], rows[2, 4] = torch.inf, -torch.inf
    assert finite_rows(rows).tolist() == [True, False, False, True]
    assert finite_rows(torch.full((1, 8), 3e38)).all()
    beyond_float32 = torch.tensor([[1e300, 1e300], [1e39, torch.inf]], dtype=torch.float64)
    assert finite_rows(beyond_float32).tolist() == [True, False]


@EVERY_ENGINE
def test_the_seed_alone_decides(engine: EngineName) -> None:
    rows = torch.randn(300, 5)  # enough to begin with samples
    torch.manual_seed(1)
    first, labels = kmeans(rows, clusters=7, seed=3, engine=engine)
    torch.manual_seed(2)
    second, same_labels = kmeans(rows, clusters=7, seed=3, engine=engine)
    other, _ = kmeans(rows, clusters=7, seed=4, engine=engine)
    assert torch.equal(first, second)
    assert torch.equal(labels, same_labels)
    assert not torch.equal(first, other)


def fit_with_threads(num_threads: int, engine: EngineName) -> Clustering:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)  # OpenMP's, and so faiss's
    try:
        rows = torch.randn(1500, LEAST_DIMS, generator=torch.Generator().manual_seed(0))
        return cluster(rows, clusters=40, initial=rows[:40], seed=0, engine=ENGINES[engine])
    finally:
        torch.set_num_threads(before)


@EVERY_ENGINE
def test_several_threads_give_the_same_bits_every_time(engine: EngineName) -> None:
    first, *others = (fit_with_threads(2, engine) for _ in range(4))
    assert all(torch.equal(first.centroids, other.centroids) for other in others)
    assert all(torch.equal(first.assignments, other.assignments) for other in others)


def test_half_precision_rows_are_clustered_in_float32() -> None:
    rows = 300 * torch.randn(50, 64).half()
    centroids, _ = kmeans(rows, clusters=3)
    assert centroids.dtype == torch.float32
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(3))


@EVERY_ENGINE
@EITHER_KIND
@pytest.mark.parametrize("initial", [True, False], ids=["carried on", "anew"])
def test_double_precision_rows_are_clustered_in_double_precision(
    engine: EngineName, spherical: bool, initial: bool
) -> None:
    rows = torch.randn(60, 600, dtype=torch.float64)
    centroids, assignments = kmeans(
        rows,
        clusters=5,
        initial=rows[:5].float() if initial else None,
        spherical=spherical,
        engine=engine,
    )
    compared = F.normalize(rows, dim=1) if spherical else rows
    members = [compared[assignments == k].mean(dim=0) for k in range(5)]
    means = F.normalize(torch.stack(members), dim=1) if spherical else torch.stack(members)
    torch.testing.assert_close(centroids, means, rtol=1e-13, atol=1e-13)
    assert torch.equal(torch.cdist(compared, centroids).argmin(dim=1), assignments)


def test_rounding_double_precision_rows_changes_no_assignment() -> None:
    rows = torch.randn(300, 64, dtype=torch.float64)
    centroids = rows[:2].clone()
    centroids[1] = centroids[0] + 1e-10 * torch.randn(64, dtype=torch.float64)
    fit = rows @ centroids.T - centroids.square().sum(dim=1) / 2
    found = RoundedRows(rows).nearest(centroids, spherical=False)
    chosen = fit.gather(1, found[:, None])[:, 0]
    torch.testing.assert_close(chosen, fit.max(dim=1).values, rtol=0, atol=1e-13)


SCALES = [1e-42, 1e-30, 1e-13, 1e10, 1e19, 1e30, 1e37]
WIDE_SCALES = [1e-320, 1e-200, 1e200, 1e306]


@EVERY_ENGINE
@EITHER_KIND
@pytest.mark.parametrize("initial", [True, False], ids=["carried on", "anew"])
def test_rows_of_any_size_are_clustered_alike(
    engine: EngineName, spherical: bool, initial: bool
) -> None:
    rows, labels = blobs(5, 20)
    compared = F.normalize(rows.double(), dim=1) if spherical else rows.double()
    means = torch.stack([compared[labels == k].mean(dim=0) for k in range(5)])
    means = F.normalize(means, dim=1) if spherical else means
    spread = float((compared - means[labels]).square().sum(dim=1).mean())
    for scale in SCALES + WIDE_SCALES:
        scaled = rows.double() * scale
        if scale in SCALES:
            scaled = scaled.float()
        found = cluster(
            scaled,
            clusters=5,
            initial=scaled[:5] if initial else None,
            seed=0,
            spherical=spherical,
            engine=ENGINES[engine],
        )
        assert same_partition(found.assignments, labels), scale
        order = found.assignments[:5].argsort()
        centroids = found.centroids.double() / (1 if spherical else scale)
        rounding = 0.1 if scale in (1e-42, 1e-320) else 1e-5  # few digits are left so far down
        torch.testing.assert_close(centroids, means[order], atol=rounding, rtol=rounding)
        if spherical or 1e-40 < scale < 1e100:
            inertia = found.inertia if spherical else found.inertia / scale / scale
            assert inertia == pytest.approx(spread, rel=100 * rounding)


def test_rows_of_unlike_sizes_are_clustered_by_cosine() -> None:
    rows, labels = blobs(5, 20)
    sizes = torch.tensor([1e-30, 1e-15, 1.0, 1e19, 1e36])[torch.arange(100) // 20]
    scaled = torch.cat((rows * sizes[:, None], torch.zeros(1, 8)))
    _, assignments = kmeans(scaled, clusters=5, initial=rows[:5] * 1e-20)
    assert torch.equal(assignments[:-1], labels)
    assert assignments[-1] >= 0


@EITHER_KIND
def test_a_scale_by_a_power_of_two_changes_no_bit(spherical: bool) -> None:
    rows = torch.randn(300, 16)
    engine = ENGINES["torch"]
    plain, found = (
        cluster(some, clusters=7, initial=None, seed=0, spherical=spherical, engine=engine)
        for some in (rows, rows * 2.0**60)
    )
    assert torch.equal(found.assignments, plain.assignments)
    expected = plain.centroids if spherical else plain.centroids * 2.0**60
    torch.testing.assert_close(found.centroids, expected, rtol=1e-6 if spherical else 0, atol=0)


@EVERY_ENGINE
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(engine: EngineName, dtype: torch.dtype) -> None:
    rows = torch.randn(300, 64)
    plain, labels = kmeans(rows, clusters=9, engine=engine)
    with torch.autocast("cpu", dtype=dtype):
        centroids, assignments = kmeans(rows, clusters=9, engine=engine)
    assert torch.equal(centroids, plain)
    assert torch.equal(assignments, labels)


def test_samples_before_the_first_iteration_over_all_rows_save_most_of_the_others() -> None:
    rows = torch.randn(4000, 32)

    def inertia(initial: Tensor | None, iterations: int) -> float:
        found = cluster(
            rows,
            clusters=20,
            initial=initial,
            seed=0,
            iterations=iterations,
            engine=ENGINES["torch"],
        )
        return found.inertia

    settled = inertia(rows[:20], 20)
    assert inertia(None, 1) < 1.02 * settled < inertia(rows[:20], 1)


@EVERY_ENGINE
@EITHER_KIND
def test_wide_rows_begin_where_many_iterations_over_all_of_them_end(
    engine: EngineName, spherical: bool
) -> None:
    hidden = torch.randn(2000, 16) @ torch.randn(16, 600) / 4
    rows = F.normalize(F.relu(hidden + 0.3 * torch.randn(2000, 600)), dim=1)
    fit = partial(cluster, rows, clusters=20, seed=0, spherical=spherical, engine=ENGINES[engine])
    settled = fit(initial=rows[:20], iterations=20).inertia
    assert fit(initial=None, iterations=0).inertia < 1.01 * settled
    assert fit(initial=None, iterations=5).inertia < 1.005 * settled


@EITHER_KIND
def test_more_clusters_than_reduced_dimensions_are_no_harder(spherical: bool) -> None:
    centers = torch.randn(2 * DIMS, 1000)
    rows = centers.repeat(8, 1) + 0.05 * torch.randn(16 * DIMS, 1000)
    drawn = rows[torch.randperm(len(rows))[: 2 * DIMS]]
    fit = partial(
        cluster, rows, clusters=2 * DIMS, seed=0, spherical=spherical, engine=ENGINES["torch"]
    )
    assert fit(initial=None).inertia < 0.5 * fit(initial=drawn).inertia


def test_rows_to_begin_with_are_drawn_by_their_distance_from_those_before() -> None:
    rows = torch.tensor([[0.0], [0.0], [1.0], [3.0]]) + 1000  # far from where they are measured
    drawn = [
        float(spread_out(rows, 2, torch.Generator().manual_seed(seed))[1, 0]) - 1000
        for seed in range(500)
    ]
    assert drawn.count(0.0) == 0
    assert drawn.count(3.0) == pytest.approx(450, abs=30)  # 9 of 1 + 9


def test_reduced_rows_keep_the_distances_of_rows_in_a_subspace() -> None:
    rows = torch.randn(900, 40) @ torch.randn(40, 700) + 5
    reduced = reduce_dims(rows, torch.randperm(900))
    assert reduced.shape == (900, DIMS)
    exact, kept = rows.double(), reduced.double()
    torch.testing.assert_close(
        torch.cdist(kept, kept), torch.cdist(exact, exact), rtol=1e-3, atol=1e-2
    )


def test_rows_without_variance_are_reduced_to_finite_ones() -> None:
    assert reduce_dims(torch.ones(20, 700), torch.arange(20)).isfinite().all()
    _, assignments = kmeans(torch.ones(20, 700), clusters=4)
    assert torch.bincount(assignments, minlength=4).min() > 0


@EITHER_KIND
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_rounding_to_bfloat16_changes_no_assignment(spherical: bool, shift: float) -> None:
    rows = torch.randn(5000, 300) + shift  # more than one block of rows
    centroids = rows[:64] + 0.01 * torch.randn(64, 300)
    # Between two centroids, so nearly that only float32 can tell.
    rows[-64:] = (rows[:64] + rows[:64].roll(1, 0)) / 2 + 1e-5 * torch.randn(64, 300)
    if spherical:
        rows, centroids = F.normalize(rows, dim=1), F.normalize(centroids, dim=1)
    offsets = torch.zeros(64) if spherical else centroids.square().sum(dim=1) / 2
    fit = rows.double() @ centroids.double().T - offsets.double()
    plain = (rows.bfloat16() @ centroids.bfloat16().T).float() - offsets
    assert not torch.equal(plain.argmax(dim=1), fit.argmax(dim=1)), "too easy to tell"
    got = RoundedRows(rows).nearest(centroids, spherical=spherical)
    chosen = fit.gather(1, got[:, None])[:, 0]
    torch.testing.assert_close(chosen, fit.max(dim=1).values, rtol=1e-6, atol=1e-6)


@EITHER_KIND
def test_rows_wide_enough_to_be_rounded_are_clustered_as_by_a_loop(spherical: bool) -> None:
    rows = torch.randn(70, LEAST_DIMS) * torch.arange(1, LEAST_DIMS + 1) ** -1.0 + 0.1
    expected, labels = kmeans_by_a_loop(rows, rows[:7], 3, spherical=spherical)
    got, assignments = kmeans(rows, clusters=7, initial=rows[:7], iterations=3, spherical=spherical)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    assert assignments.tolist() == labels


@EITHER_KIND
def test_centroids_of_which_some_move_find_what_they_find_anew(spherical: bool) -> None:
    rows = F.normalize(torch.randn(5000, 48) + 1, dim=1)
    kept = RoundedRows(rows)
    centroids = rows[:16]
    for moved in (slice(0, 0), slice(3, 5), slice(0, 16), slice(9, 10)):
        centroids = centroids.clone()
        centroids[moved] = rows[100:116][moved]
        anew = RoundedRows(rows).nearest(centroids, spherical=spherical)
        assert torch.equal(kept.nearest(centroids, spherical=spherical), anew)


def test_fewer_rows_than_clusters_is_an_error() -> None:
    with pytest.raises(ValueError, match="4 clusters need"):
        kmeans(torch.randn(3, 2), clusters=4)


def test_initial_centroids_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(ValueError, match="initial centroids are not finite"):
        kmeans(torch.randn(9, 2), clusters=2, initial=torch.tensor([[1.0, 0.0], [torch.nan, 0.0]]))


@pytest.mark.parametrize("shape", [(1, 2), (3, 2), (2, 3), (2,), (60, 2)])
def test_initial_centroids_of_another_shape_are_an_error(shape: tuple[int, ...]) -> None:
    fit = inspect.unwrap(cluster)  # without the check of shapes that tests have
    with pytest.raises(ValueError) as error:
        fit(torch.randn(9, 2), clusters=2, initial=torch.zeros(shape), seed=0, engine="torch")
    told = f"are of shape {shape}, and 2 clusters of rows of 2 numbers need (2, 2)"
    assert told in str(error.value)


@pytest.mark.parametrize("clusters", [0, -1])
def test_no_cluster_is_an_error(clusters: int) -> None:
    with pytest.raises(ValueError, match=f"{clusters} clusters: at least one"):
        kmeans(torch.randn(9, 2), clusters=clusters)


def test_without_faiss_its_engine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)  # as if it were not installed
    with pytest.raises(ValueError, match=r"pip install faiss-gpu, or take the engine torch"):
        kmeans(torch.randn(9, 2), clusters=2, engine="faiss")


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [1, 9, 2], [25], [10], [0, 4], [7, 40, 1, 6]])
def test_the_queue_holds_the_newest_rows(sizes: list[int]) -> None:
    queue, pushed = FeatureQueue(10, 2), torch.zeros(0, 2)
    for size in sizes:
        rows = torch.randn(size, 2)
        queue.push(rows)
        pushed = torch.cat((pushed, rows))
    held = sorted(map(tuple, queue.filled().tolist()))
    assert held == sorted(map(tuple, pushed[-10:].tolist()))


@pytest.mark.parametrize("rows_at_once", [1, 7, 1000])
def test_sums_by_products_are_those_of_the_clusters_in_blocks_of_any_size(
    rows_at_once: int,
) -> None:
    rows, labels = torch.randn(50, 6), torch.randint(4, (50,))
    labels[labels == 2] = 0  # one is empty
    expected = torch.stack([rows[labels == cluster].sum(dim=0) for cluster in range(4)])
    found = _sums_by_products(rows, labels, 4, rows_at_once=rows_at_once)
    torch.testing.assert_close(found, expected)
