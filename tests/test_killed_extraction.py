"""Extraction killed fifty times at any moment: nothing is lost, nothing twice, no byte another."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcn.root import REPOSITORY, Root
from mcn.store.reader import FeatureStore
from mcn.store.verify import verify_shard
from tests.bad_files import cut, plain
from tests.forked_commands import ForkedCommands, wait_until_gone

pytestmark = pytest.mark.slow

NUM_KILLS = 50
SEED = 7
NUM_VIDEOS = 6
SECONDS_TO_DIE = 60.0
STORE = "video-shufflenet_v2_x0_5"
FORM = ["--width", "96", "--height", "72", "--fps", "10", "--preset", "ultrafast"]


@dataclass
class Extraction:
    """Some resized videos, one of them cut off since, and what extracts them."""

    root: Path
    commands: ForkedCommands
    expected: dict[str, bytes]
    """The shards of an undisturbed run."""
    seconds: float
    """How long that took."""

    @property
    def folder(self) -> Path:
        return self.root / "store" / STORE

    def start(self) -> int:
        return self.commands.start(*arguments(self.root))

    def shards(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.glob("*.h5")}

    def begin_anew(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def arguments(root: Path) -> list[str]:
    network = ["--backbone", "shufflenet_v2_x0_5", "--weights", "random:0"]
    cut_into = ["--videos-per-shard", "3", "--cluster", "debug", "--modalities", "video"]
    return ["--root", str(root), *network, *cut_into]


@pytest.fixture(scope="module")
def extraction(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extraction]:
    root = tmp_path_factory.mktemp("killed")
    (root / "raw").mkdir()
    for index in range(NUM_VIDEOS):
        plain(root / "raw" / f"video{index}.mp4", seconds=1.5 + index / 2, sample_rate=None)
    command = [sys.executable, REPOSITORY / "jobs" / "resize.py", "--root", root, *FORM]
    subprocess.run([*map(str, command), "--cluster", "debug"], check=True, capture_output=True)
    with ForkedCommands(root / "log") as commands:
        commands.run(*arguments(root))  # draws the weights, from sound videos
        broken = Root(root).resized / "video4.mp4"
        cut(broken, broken)
        shutil.rmtree(root / "store" / STORE)
        began = time.monotonic()
        commands.run(*arguments(root))
        undisturbed = Extraction(root, commands, {}, time.monotonic() - began)
        undisturbed.expected.update(undisturbed.shards())
        yield undisturbed


def test_killed_fifty_times_extraction_ends_with_the_bytes_of_an_undisturbed_run(
    extraction: Extraction,
) -> None:
    dice = random.Random(SEED)
    kills: Counter[str] = Counter()
    while not enough(kills):
        extraction.begin_anew()
        while not enough(kills):
            aim = dice.choice(["any moment", "sealing"])
            session = extraction.start()
            wait_for(aim, session, extraction, dice)
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(session, signal.SIGKILL)
            status = extraction.commands.status()
            wait_until_gone(session, seconds=SECONDS_TO_DIE)
            check(extraction)
            if status != -signal.SIGKILL:
                assert status == 0, extraction.commands.log.read_text()
                break
            kills[left_behind(extraction.folder)] += 1
        extraction.commands.run(*arguments(extraction.root))
        check(extraction)
        assert extraction.shards() == extraction.expected
        assert names(extraction.folder) == sorted(extraction.expected)
    print(f"seed {SEED}: {dict(kills)}")
    assert kills["sealing"] >= 5
    assert kills["journal"] >= 5


def enough(kills: Counter[str]) -> bool:
    """Fifty, with some of each kind; on a busy machine that takes some more."""
    of_each = min(kills["sealing"], kills["journal"])
    return kills.total() >= (NUM_KILLS if of_each >= 5 else 4 * NUM_KILLS)


def wait_for(aim: str, session: int, extraction: Extraction, dice: random.Random) -> None:
    """Until any moment of a run, or one in the sealing of one of its shards."""
    if aim == "any moment":
        time.sleep(dice.uniform(0, extraction.seconds))
        return
    sealed = set(names(extraction.folder, "*.h5"))
    while Path(f"/proc/{session}").exists():
        there = set(names(extraction.folder, "*.h5")) - sealed
        if there or names(extraction.folder, "*.packing"):
            time.sleep(dice.choice([0, dice.uniform(0, 0.02)]))
            return
        time.sleep(0.0005)


def left_behind(folder: Path) -> str:
    """In what the process was when it was killed, by the files that it left."""
    leases = {name.removesuffix(".lease") for name in names(folder, "*.lease")}
    sealed = {name.removesuffix(".h5") for name in names(folder, "*.h5")}
    if leases & sealed or names(folder, "*.packing"):
        return "sealing"
    if names(folder, "*.journal"):
        return "journal"
    return "between shards"


def names(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def check(extraction: Extraction) -> None:
    """What is sealed is sound and as it should be, and readers see that and nothing else."""
    shards = extraction.shards()
    assert shards.items() <= extraction.expected.items()
    for name in shards:
        assert verify_shard(extraction.folder / name) == []
    if not shards:
        with pytest.raises(FileNotFoundError):
            FeatureStore(extraction.folder)
        return
    store = FeatureStore(extraction.folder)
    failed = [video_id for video_id, _ in store.failures()]
    assert {store.entry(video_id).shard.name for video_id in store.video_ids} <= shards.keys()
    if len(shards) == len(extraction.expected):
        planned = [f"video{index}" for index in range(NUM_VIDEOS)]
        assert sorted([*store.video_ids, *failed]) == planned
        assert store.failures() == [("video4", "truncated")]
