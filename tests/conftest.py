"""What all tests share: their own random state, and skipping that cannot hide."""

import os
import signal
from collections.abc import Iterator

# Before torch is imported, and for the processes that tests start: matrices are tiny here, and
# waiting threads would only take the cores from each other.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

from tests.downloads import download_root, small_video, video_site  # noqa: F401
from tests.fake_slurm import fake_slurm  # noqa: F401
from tests.fates import watched  # noqa: F401
from tests.programs import programs  # noqa: F401
from tests.slurm_cluster import (  # noqa: F401
    slurm_cluster,
    slurm_cluster_without_accounting,
    testbed,
)

# A suite that a script starts in the background ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip GPU tests where there is no GPU, unless the environment says there must be one."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        if os.environ.get("REQUIRE_GPU"):
            pytest.fail("REQUIRE_GPU is set, but there is no GPU")
        pytest.skip("no GPU")


@pytest.fixture(autouse=True)
def own_random_state() -> Iterator[None]:
    """Give every test the same random state, whatever ran before it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
