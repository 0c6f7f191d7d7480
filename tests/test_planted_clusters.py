"""What a noisy modality learns from the clusters of a clean one, on planted stores; the whole table
is printed by `python -m tests.planted_clusters`.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from mcn.evaluation.differences import seed_interval
from mcn.evaluation.statistics import Interval
from tests.planted_clusters import CASES, Found, Name, less, measured
from tests.planted_noise import CLASSES

pytestmark = pytest.mark.slow

FEW = "audio by 5 a class"


@pytest.fixture(scope="module")
def found() -> Found:
    """In a process of its own, where shapes are not checked at every call: in half the time."""
    names: tuple[Name, ...] = ("sdc", "xdc", "features")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measured, CASES["places"], names, range(5), labelled=(5,)).result()


def over_seeds(differences: list[float]) -> Interval:
    return seed_interval(np.array(differences))


def test_noisy_sounds_tell_more_by_the_clusters_of_clean_pictures_than_by_their_own(
    found: Found,
) -> None:
    assert over_seeds(less(found["xdc"], found["sdc"], FEW)).low > 0


def test_what_pictures_teach_makes_sounds_worth_more_than_their_features(found: Found) -> None:
    """What the labels of other videos' pictures would not do, though they would beat SDC."""
    assert over_seeds(less(found["xdc"], found["features"], FEW)).low > 0


def test_clusters_of_noisy_sounds_come_to_follow_the_classes(found: Found) -> None:
    assert over_seeds(less(found["xdc"], found["sdc"], "NMI audio")).low > 0


def test_own_clusters_teach_noisy_sounds_nothing_of_the_classes(found: Found) -> None:
    above_chance = [one[FEW] - 100 / CLASSES for one in found["sdc"]]
    assert over_seeds(above_chance).high < 5
    assert over_seeds(less(found["features"], found["sdc"], FEW)).low > 0
