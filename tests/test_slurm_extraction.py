"""Extraction on a real SLURM that takes its nodes away: preemption, time limit, power cut."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcn.root import REPOSITORY, Root
from slurm.environment import STOPPED_EARLY
from slurm.marker import Event, read_events
from slurm.submission import StepFolder
from slurm.testbed import Testbed
from tests.opened import OpenedFiles
from tests.slurm_cluster import children, empty_queue, nothing_starts, speaking_to, wait_until
from tests.videos import write_video

pytestmark = pytest.mark.slow

NUM_VIDEOS = 6
WARNING_SECONDS = 120
SHARD = Path("store") / "video-resnet18" / "00000.h5"


def run_job(name: str, root: Path, *options: str) -> None:
    command = [sys.executable, str(REPOSITORY / "jobs" / f"{name}.py"), "--root", str(root)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def extract(root: Path, cluster: str, *options: str) -> None:
    video = ["--modalities", "video", "--backbone", "resnet18", "--weights", "random:0"]
    light = ["--cpus-per-task", "1", "--jitter-seconds", "0", "--cluster", cluster]
    run_job("extract", root, *video, *light, *options)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Resized videos, and the shard of them that was made in one go."""
    root = tmp_path_factory.mktemp("root")
    (root / "raw").mkdir()
    for index in range(NUM_VIDEOS):
        write_video(root / "raw" / f"video{index}.mp4", seconds=12, sample_rate=None)
    run_job("resize", root, "--cluster", "debug")
    extract(root, "debug")
    return root


class Extraction:
    """One shard to be extracted on SLURM from the same videos, held once its first video is done.

    To be held is what a slow network does; it is how a small shard is struck in its middle.
    """

    def __init__(self, undisturbed: Path, root: Path, *options: str) -> None:
        self.root = root
        for name in ("resized", "weights", "store/ledger"):
            shutil.copytree(undisturbed / name, root / name)
        self.opened = OpenedFiles(root / "resized")
        extract(root, "slurm", *options)
        (self.submission,) = StepFolder(Root(root).logs / "extract").submissions()
        (self.job,) = self.submission.task_ids().values()
        self._is_held = False

    def is_held(self) -> bool:
        """Stop the extraction when two videos have been opened; it may be anywhere within them."""
        if self._is_held:
            return True
        if sum(name.endswith(".mp4") for name in self.opened.counts()) < 2:
            return False
        (self.worker,) = children(self.events[-1].pid)
        os.kill(self.worker, signal.SIGSTOP)
        self._is_held = True
        return True

    @property
    def events(self) -> list[Event]:
        return read_events(self.submission.marker(0))

    def wait_for(self, kind: str) -> None:
        """Until that has happened to a start of it; SLURM's signals may let it go by themselves."""
        wait_until(lambda: any(event.kind == kind for event in self.events), f"the task has {kind}")

    def let_go(self) -> None:
        """Let it go on, where SLURM's own SIGCONT has not, and it has not ended already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.worker, signal.SIGCONT)

    def wait_for_end(self) -> None:
        wait_until(
            lambda: any(event.kind == "ended" and event.status == 0 for event in self.events),
            "the shard is done",
        )

    def decoded_twice(self) -> list[str]:
        """Videos that were decoded more than once; each is opened equally often for that."""
        opened = self.opened.counts()
        counts = {name: count for name, count in opened.items() if name.endswith(".mp4")}
        once = min(counts.values())
        return sorted(name for name, count in counts.items() if count > once)


@pytest.fixture(scope="module")
def struck(
    slurm_cluster: Testbed, undisturbed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Extraction]]:
    """Three extractions at once, each on a node of its own, struck in their middle and ended."""
    testbed = slurm_cluster
    warned = ("--warning-seconds", str(WARNING_SECONDS))
    options = {"preemption": (), "time limit": warned, "power cut": ()}
    with speaking_to(testbed):
        with nothing_starts(testbed):
            extractions = {
                fate: Extraction(
                    undisturbed,
                    tmp_path_factory.mktemp("data"),
                    *("--sbatch", "nodelist", f"node{number}"),
                    *options[fate],
                )
                for number, fate in enumerate(options, start=1)
            }
        wait_until(
            lambda: {extraction.is_held() for extraction in extractions.values()} == {True},
            "the first video of each is under way",
        )
        testbed.run_out_of_time(extractions["time limit"].job, seconds=WARNING_SECONDS)
        testbed.kill_node("node3")
        wait_until(lambda: "node3" in down_nodes(testbed), "the controller misses node3")
        testbed.restart_node("node3")
        other = testbed.preempt(extractions["preemption"].job)
        for fate in ("preemption", "time limit"):
            extractions[fate].wait_for("signalled")
            extractions[fate].let_go()
            extractions[fate].wait_for("ended")
            if fate == "preemption":
                testbed.run(["scancel", other])
        give_time(testbed, extractions["time limit"].job)
        for extraction in extractions.values():
            extraction.wait_for_end()
        yield extractions
        empty_queue(testbed)


def give_time(testbed: Testbed, job: str) -> None:
    """Let what comes back have a whole limit again, and not the one that was cut short."""
    update = ["scontrol", "update", f"JobId={job}", "TimeLimit=60"]
    wait_until(lambda: testbed.run(update, check=False).returncode == 0, f"{job} has time again")


def down_nodes(testbed: Testbed) -> str:
    return testbed.run(["sinfo", "--noheader", "--states=down", "--format=%N"]).stdout


@pytest.mark.parametrize("fate", ["preemption", "time limit", "power cut"])
def test_a_shard_has_the_bytes_of_one_left_alone_after(
    struck: dict[str, Extraction], undisturbed: Path, fate: str
) -> None:
    assert struck[fate].events[-1].restart == 1
    assert (struck[fate].root / SHARD).read_bytes() == (undisturbed / SHARD).read_bytes()


@pytest.mark.parametrize("fate", ["preemption", "time limit"])
def test_who_is_told_to_stop_ends_at_the_next_video_and_decodes_nothing_twice(
    struck: dict[str, Extraction], fate: str
) -> None:
    ends = [event.status for event in struck[fate].events if event.kind == "ended"]
    assert ends == [STOPPED_EARLY, 0]
    assert struck[fate].decoded_twice() == []


def test_a_power_cut_costs_the_videos_under_way_and_no_other(
    struck: dict[str, Extraction],
) -> None:
    assert [event.kind for event in struck["power cut"].events] == ["began", "began", "ended"]
    # One in the network, and one decoded or in decoding meanwhile.
    assert len(struck["power cut"].decoded_twice()) <= 2


def test_of_two_tasks_with_the_same_shard_one_seals_it_and_the_other_is_refused(
    testbed: Testbed, undisturbed: Path, tmp_path: Path
) -> None:
    first = Extraction(undisturbed, tmp_path / "data", "--sbatch", "nodelist", "node1")
    wait_until(first.is_held, "the first video is under way")
    script = str(first.submission.script(0))
    second = testbed.run(["sbatch", "--parsable", "--nodelist=node2", script]).stdout.strip()

    def has_ended() -> bool:
        """Whether the second has; the first goes on slowly until then."""
        first.let_go()
        time.sleep(0.05)
        os.kill(first.worker, signal.SIGSTOP)
        time.sleep(0.95)
        return any(e.kind == "ended" and e.job_id == f"{second}_0" for e in first.events)

    wait_until(has_ended, "the second task has ended")
    assert not (first.root / SHARD).exists()
    first.let_go()
    wait_until(lambda: (first.root / SHARD).exists(), "the first has sealed the shard")
    wait_until(lambda: sum(e.kind == "ended" for e in first.events) == 2, "the first has ended")
    statuses = {e.job_id: e.status for e in first.events if e.kind == "ended"}
    assert statuses == {first.job: 0, f"{second}_0": 1}
    assert "error: " in first.submission.log(0).read_text()
    assert "is writing it" in first.submission.log(0).read_text()
    assert (first.root / SHARD).read_bytes() == (undisturbed / SHARD).read_bytes()
