"""k-means of XDC by several ranks: the bits of one, everybody's work, and nobody left waiting."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mcn.choices import EngineName
from mcn.clustering.engines import ENGINES, Engine, Nearest
from mcn.clustering.lloyd import cluster
from mcn.modality import Modality
from mcn.training.distributed import patient_group, process_group
from mcn.training.xdc.clustering import cluster_all
from mcn.training.xdc.config import Method, XdcConfig
from mcn.training.xdc.shared_search import shared_search
from slurm.local import run_ranks

RANKS = range(3)
CPU = torch.device("cpu")

Fit = Callable[[Engine], Any]


def rows_of(num_rows: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(8, dim, generator=generator)
    own = torch.randint(8, (num_rows,), generator=generator)
    return centres[own] + torch.randn(num_rows, dim, generator=generator)


def all_clusterings(method: Method, num_clips: int, engine: Engine) -> Any:
    """Of clips some of which lack a modality."""
    features: dict[Modality, Tensor] = {
        "video": rows_of(num_clips, 24, seed=0),
        "audio": rows_of(num_clips, 24, seed=1),
    }
    features["video"][::50] = torch.nan
    features["audio"][7::90, 3] = torch.inf
    config = XdcConfig(method=method, clusters=12, pca_dim=16)
    return cluster_all(config, features, 2, CPU, engine)


def reseeded_clustering(engine: Engine) -> Any:
    """From centroids most of which are nowhere near a row."""
    rows = rows_of(5000, 40, seed=2)
    initial = torch.cat((rows[:5], 1e3 * torch.ones(7, 40)))
    found = cluster(rows, clusters=12, initial=initial, seed=0, engine=engine)
    assert found.num_reseeded > 0
    return vars(found)


CASES: dict[str, Fit] = {
    "xdc": partial(all_clusterings, "xdc", 9000),  # 4096, 4096 and what is left for the last
    "mdc": partial(all_clusterings, "mdc", 4500),  # less than one for each rank
    "cdc": partial(all_clusterings, "cdc", 14_000),
    "few": partial(all_clusterings, "cdc", 200),
    "reseeded": reseeded_clustering,
}
BOTH: tuple[EngineName, ...] = ("torch", "faiss")


def counted(engine: Engine, searched: list[int]) -> Engine:
    """The engine, which notes how many rows it has found the nearest centroids of."""

    def count(rows: Tensor, *, spherical: bool) -> Nearest:
        nearest = engine(rows, spherical=spherical)

        def note(centroids: Tensor) -> Tensor:
            searched.append(len(rows))
            return nearest(centroids)

        return note

    return count


def work_as_rank(folder: Path) -> None:
    """Every case by both engines, and then two errors of rank 0."""
    rank = int(os.environ["RANK"])
    results: dict[str, Any] = {}
    try:
        with process_group() as device:
            group = patient_group()
            for name in BOTH:
                for case, fit in CASES.items():
                    searched: list[int] = []
                    with shared_search(counted(ENGINES[name], searched), device, group) as engine:
                        found = None if engine is None else fit(engine)
                    results[f"{name} {case}"] = {"found": found, "searched": searched}
            try:
                with shared_search(ENGINES["torch"], device, group) as engine:
                    if engine is not None:
                        all_clusterings("xdc", 10, engine)
            except ValueError as error:
                results["too few"] = str(error)
            with shared_search(ENGINES["torch"], device, group) as engine:
                if engine is not None:
                    raise MemoryError("of rank 0")
    except (MemoryError, RuntimeError) as error:
        results["broken"] = repr(error)
    torch.save(results, folder / f"{rank}.pt.part")
    (folder / f"{rank}.pt.part").rename(folder / f"{rank}.pt")
    while not all((folder / f"{other}.pt").exists() for other in RANKS):
        time.sleep(0.01)  # or leaving would end the others


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(partial(work_as_rank, folder), num_ranks=len(RANKS))
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in RANKS]


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, Tensor):
        assert found.equal(expected)
    else:
        assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("case", CASES)
def test_three_ranks_find_the_bits_of_one_and_search_every_row_once(
    of_ranks: list[dict[str, Any]], name: EngineName, case: str
) -> None:
    searched_alone: list[int] = []
    expected = CASES[case](counted(ENGINES[name], searched_alone))
    first, *others = (results[f"{name} {case}"] for results in of_ranks)
    assert_same(first["found"], expected)
    assert all(other["found"] is None for other in others)
    shares = zip(*(results["searched"] for results in (first, *others)), strict=True)
    assert [sum(share) for share in shares] == searched_alone


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_of_many_rows_every_rank_searches_a_share_that_is_no_more_than_a_part_too_large(
    of_ranks: list[dict[str, Any]], name: EngineName
) -> None:
    most = [max(results[f"{name} cdc"]["searched"]) for results in of_ranks]
    known = 14_000 - len({*range(0, 14_000, 50), *range(7, 14_000, 90)})
    assert most == [4096, 4096, known - 2 * 4096]


@pytest.mark.slow
def test_what_rank_zero_finds_wrong_with_the_clips_every_rank_raises(
    of_ranks: list[dict[str, Any]],
) -> None:
    (problem,) = {results["too few"] for results in of_ranks}
    assert problem.startswith("--clusters 12: only 9 of 10 clips have ")


@pytest.mark.slow
def test_when_rank_zero_fails_the_others_do_not_wait_for_it(of_ranks: list[dict[str, Any]]) -> None:
    problem = "MemoryError('of rank 0')"
    told = repr(RuntimeError(f"rank 0 failed: {problem}"))
    assert [results["broken"] for results in of_ranks] == [problem, told, told]


def test_alone_the_search_is_that_of_the_engine() -> None:
    with shared_search(ENGINES["torch"], CPU, None) as engine:
        assert engine is ENGINES["torch"]
