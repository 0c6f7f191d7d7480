"""A study of which a training failed at night, submitted again: each job after what it needs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.status import Arguments, main
from slurm.marker import BEGAN, ENDED, Event, append_event
from slurm.resources import Shape
from slurm.submission import StepFolder
from slurm.submit import submit
from tests.fake_slurm import FakeSlurm
from tests.submissions import manifest_of

STEPS = ("train-a", "train-b", "train-c", "evaluate-a", "evaluate-b", "evaluate-c", "table")


class Night:
    """Runs a and b, whose jobs ended as they did; c is done."""

    def __init__(self, root: Path, slurm: FakeSlurm) -> None:
        self.root, self.slurm = root, slurm
        self.jobs: dict[str, str] = {}
        for run in "abc":
            self.jobs[f"train-{run}"] = self.launch(f"train-{run}")
            after = f"afterok:{self.jobs[f'train-{run}']}"
            self.jobs[f"evaluate-{run}"] = self.launch(f"evaluate-{run}", after)
        judged = ":".join(self.jobs[f"evaluate-{run}"] for run in "abc")
        self.jobs["table"] = self.launch("table", f"afterany:{judged}")
        self.end("train-a", "FAILED")
        self.end("evaluate-a", "CANCELLED")  # by --kill-on-invalid-dep
        self.slurm.set(self.jobs["train-b"], "RUNNING")
        self.end("train-c", "COMPLETED")
        self.end("evaluate-c", "COMPLETED")

    def step(self, name: str) -> StepFolder:
        return StepFolder(self.root / "logs" / name)

    def launch(self, name: str, after: str | None = None) -> str:
        step, shape = self.step(name), Shape(dependency=after)
        (job,) = submit(step, manifest_of(step, ["true"], [0], is_array=False, shape=shape))
        return job

    def end(self, name: str, state: str) -> None:
        job, submission = self.jobs[name], self.step(name).submissions()[-1]
        self.slurm.set(job, state)
        if state == "CANCELLED":
            return
        for kind, status in ((BEGAN, None), (ENDED, int(state != "COMPLETED"))):
            event = Event(
                kind=kind, job_id=job, restart=0, seconds=1e9, node="n", pid=1, status=status
            )
            append_event(submission.marker(0), event)

    def resubmit(self, step: str | None = None, *, dry_run: bool = False) -> None:
        main(Arguments(root=self.root, resubmit=True, step=step, dry_run=dry_run))

    def newest(self, names: Sequence[str] = STEPS) -> dict[str, str]:
        return {name: self.slurm.named(name)[-1] for name in names}


@pytest.fixture
def night(tmp_path: Path, fake_slurm: FakeSlurm) -> Night:
    return Night(tmp_path / "data", fake_slurm)


def test_training_comes_first_and_all_that_needs_it_waits_for_the_new_one(night: Night) -> None:
    night.resubmit()
    new = night.newest()
    assert {name for name in STEPS if new[name] != night.jobs[name]} == {
        *("train-a", "evaluate-a", "table")
    }
    assert night.slurm.dependency(new["train-a"]) is None
    assert night.slurm.dependency(new["evaluate-a"]) == f"afterok:{new['train-a']}"
    # The table was still in the queue; what is done is not waited for.
    waited_for = night.slurm.dependency(new["table"])
    assert waited_for == f"afterany:{new['evaluate-a']}:{new['evaluate-b']}"
    assert night.slurm.states()[night.jobs["table"]] == "CANCELLED"
    night.resubmit()
    assert night.newest() == new


def test_a_table_that_ended_short_is_made_again_after_all_that_it_waits_for(night: Night) -> None:
    night.end("table", "FAILED")
    night.resubmit()
    new = night.newest()
    waited_for = night.slurm.dependency(new["table"])
    assert waited_for == f"afterany:{new['evaluate-a']}:{new['evaluate-b']}"


def test_steps_may_be_submitted_again_one_by_one(night: Night) -> None:
    night.resubmit("train-a")
    night.resubmit("evaluate-a")
    new = night.newest()
    assert night.slurm.dependency(new["evaluate-a"]) == f"afterok:{new['train-a']}"


def test_what_needs_a_step_that_is_not_submitted_again_is_refused(night: Night) -> None:
    before = night.slurm.states()
    with pytest.raises(ValueError, match=r"evaluate-a needs train-a, .*--step.*jobs/study\.py"):
        night.resubmit("evaluate-a")
    assert night.slurm.states() == before


def test_once_training_is_done_nothing_is_waited_for(night: Night) -> None:
    night.end("train-a", "COMPLETED")
    night.resubmit("evaluate-a")
    assert night.slurm.dependency(night.newest()["evaluate-a"]) is None


def test_the_screen_names_the_command_for_all_that_ended_short(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    main(Arguments(root=night.root))
    lines = capsys.readouterr().out.splitlines()
    assert "all of them, each after what it waits for: python jobs/status.py --resubmit" in lines


def test_a_dry_run_says_what_would_wait_for_what(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    before = night.slurm.states()
    capsys.readouterr()
    night.resubmit(dry_run=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if "would" in line]
    assert lines == [
        "train-a: would submit again 1 tasks, shards 0",
        "evaluate-a: would submit again 1 tasks, shards 0, afterok:ID_OF_train-a",
        f"table: {night.jobs['table']} would give way to one that waits, "
        f"afterany:ID_OF_evaluate-a:{night.jobs['evaluate-b']}",
    ]
    assert night.slurm.states() == before
