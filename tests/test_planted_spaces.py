"""Where nested spaces keep what a shared one loses, on planted stores; the whole table is printed
by `python -m tests.planted_detail`.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mcn.data.stores import open_stores
from mcn.evaluation.differences import seed_interval
from mcn.evaluation.statistics import Interval
from mcn.evaluation.zero_shot import embed_benchmark
from mcn.modality import MmvSpace
from tests.planted_detail import CONTESTED, NUM_QUERIES, measured, trained_model
from tests.stores import FEATURES

pytestmark = pytest.mark.slow

Recalls = dict[MmvSpace, list[dict[str, float]]]


@pytest.fixture(scope="module")
def found() -> Recalls:
    """In a process of its own, where shapes are not checked at every call: in half the time."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measured, CONTESTED, ("fac", "shared"), range(5)).result()


def fac_less_shared(found: Recalls, way: str) -> Interval:
    pairs = zip(found["fac"], found["shared"], strict=True)
    return seed_interval(np.array([fac[way] - shared[way] for fac, shared in pairs]))


def test_contested_detail_survives_in_nested_spaces(found: Recalls) -> None:
    assert fac_less_shared(found, "v2a R@1").low > 0
    # By a few points, of which another processor's rounding may take some.
    assert fac_less_shared(found, "a2v R@1").value > 0


def test_text_finds_sound_best_where_detail_is_thrown_away(found: Recalls) -> None:
    assert fac_less_shared(found, "t2a R@10").low > 0
    above = np.array([one["t2a R@10"] for one in found["fac"]]) - 1000 / NUM_QUERIES
    assert seed_interval(above).low > 0


def test_disjoint_spaces_never_compare_text_with_sound(tmp_path: Path) -> None:
    root = tmp_path / "0"
    config = replace(CONTESTED, space="disjoint", stage1_epochs=1, stage2_epochs=1)
    model = trained_model(root, config)
    stores = open_stores(root / "heldout", FEATURES)
    embeddings = embed_benchmark(model, stores, max_words=3)
    with pytest.raises(ValueError, match="text cannot be compared with audio"):
        embeddings.similarity("t2a")
