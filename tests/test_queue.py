"""What the queue has, and whose it is: nothing is submitted twice, and nothing left out."""

import dataclasses
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slurm.controller import SlurmError
from slurm.launch import Step, Target, launch_job
from slurm.resources import Resources, Shape
from slurm.resubmit import submit_instead
from slurm.submission import Manifest, StepFolder, withdraw
from slurm.submit import SECONDS_UNTIL_KNOWN, submit
from tests.fake_slurm import FakeSlurm
from tests.submissions import LIGHT, grow_old, manifest_of


@pytest.fixture
def folder(tmp_path: Path) -> StepFolder:
    return StepFolder(tmp_path / "logs" / "extract")


def test_a_strangers_job_of_the_same_id_keeps_no_shard_from_being_submitted(
    folder: StepFolder, fake_slurm: FakeSlurm
) -> None:
    manifest = manifest_of(folder, ["true"], range(3))
    (job,) = submit(folder, manifest)
    assert submit(folder, manifest) == [job]
    # The controller has begun to count anew, and a job of another folder has this id.
    script = fake_slurm.folder / f"{job}.sh"
    script.write_text(script.read_text().replace("extract#1.0", "elsewhere#1.0"))
    assert submit(folder, manifest) == [str(int(job) + 1)]


def test_a_comment_of_the_users_own_is_not_taken_for_a_strangers(
    folder: StepFolder, fake_slurm: FakeSlurm
) -> None:
    resources = dataclasses.replace(LIGHT, sbatch={"comment": "mine alone"})
    manifest = manifest_of(folder, ["true"], range(3), resources=resources)
    assert submit(folder, manifest) == submit(folder, manifest)


def test_the_cluster_that_sbatch_names_is_kept(folder: StepFolder, fake_slurm: FakeSlurm) -> None:
    fake_slurm.do("sbatch", "echo '77;gpus'")
    assert submit(folder, manifest_of(folder, ["true"], range(3))) == ["77"]
    (submission,) = folder.submissions()
    assert (submission.job_ids(), submission.clusters()) == ({0: "77"}, {0: "gpus"})


def begun(folder: StepFolder, manifest: Manifest) -> Manifest:
    """A launch that has submitted the first of two arrays ten minutes after it began."""
    split = dataclasses.replace(manifest, chunks=((0, 2), (2, 3)), submitted_at=time.time() - 600)
    submission = folder.begin(split)
    submission.script(0).touch()
    submission.record_job(0, "77")
    grow_old(submission)
    submission.script(1).touch()
    return split


def test_what_counts_is_when_sbatch_was_called_and_not_when_the_launch_began(
    folder: StepFolder, fake_slurm: FakeSlurm
) -> None:
    manifest = begun(folder, manifest_of(folder, ["true"], range(3)))
    with pytest.raises(SlurmError, match=r"called sbatch \d s ago, .* nothing was submitted"):
        submit(folder, manifest)
    grow_old(folder.submissions()[0])
    assert len(submit(folder, manifest)) == 1


def test_a_clock_that_is_ahead_does_not_make_a_launch_old(
    folder: StepFolder, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = begun(folder, manifest_of(folder, ["true"], range(3)))
    ahead = time.time() + 2 * SECONDS_UNTIL_KNOWN
    monkeypatch.setattr(time, "time", lambda: ahead)
    with pytest.raises(SlurmError, match=r"called sbatch \d s ago"):
        submit(folder, manifest)


def job(folder: StepFolder, command: str, after: str | None = None) -> Manifest:
    shape = Shape(dependency=after)
    return manifest_of(folder, [command], [0], is_array=False, shape=shape)


@pytest.mark.parametrize(
    ("command", "after", "is_replaced"),
    [
        ("two", "afterany:1:2", False),
        ("two", "afterany:2", False),  # the other one has ended meanwhile
        ("two", None, False),
        ("three", "afterany:1:2", True),
        ("two", "afterany:1:3", True),
    ],
)
def test_a_job_that_waits_gives_way_to_one_that_does_something_else_or_begins_later(
    folder: StepFolder, fake_slurm: FakeSlurm, command: str, after: str | None, is_replaced: bool
) -> None:
    (first,) = submit(folder, job(folder, "two", "afterany:1:2"))
    (second,) = submit_instead(folder, job(folder, command, after))
    assert (second != first) == is_replaced
    states = fake_slurm.states()
    assert states[second] == "PENDING"
    assert states[first] == ("CANCELLED" if is_replaced else "PENDING")
    assert folder.newest_of_each_task()[0].job_ids() == {0: second}


def test_a_job_that_has_begun_goes_on_and_its_user_is_told(
    folder: StepFolder, fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    (first,) = submit(folder, job(folder, "two"))
    fake_slurm.set(first, "RUNNING")
    assert submit_instead(folder, job(folder, "three")) == [first]
    assert fake_slurm.states() == {first: "RUNNING"}
    assert "once it has ended, give this command again" in capsys.readouterr().out


def test_settings_for_sbatch_stand_in_for_what_was_not_said(
    folder: StepFolder,
    fake_slurm: FakeSlurm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SBATCH_ACCOUNT", "theirs")
    monkeypatch.setenv("SBATCH_PARTITION", "theirs")
    target = Target(cluster="slurm", resources=Resources(partition="ours"))
    job_id = launch_job(Step(folder, ["true"]), target, Shape(), here=lambda: None)
    assert job_id is not None
    script = fake_slurm.script(job_id)
    assert "#SBATCH --account=theirs\n" in script
    assert "#SBATCH --partition=ours\n" in script


def test_a_submission_that_is_withdrawn_while_others_are_read_is_none(folder: StepFolder) -> None:
    kept = folder.begin(manifest_of(folder, ["true"], range(3)))
    withdrawn = folder.begin(manifest_of(folder, ["true"], range(3)))
    manifest = withdrawn.path / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    with ThreadPoolExecutor() as threads:
        read = threads.submit(folder.submissions)
        with manifest.open("w"):  # the reader has opened it, too
            withdraw(withdrawn)
        assert read.result() == [kept]
