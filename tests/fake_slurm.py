"""A SLURM of a few shell scripts: it takes jobs, shows and cancels them, and never starts one."""

import os
import re
from pathlib import Path

import pytest

MAX_ARRAY_SIZE = 5
PROGRAMS = {
    "sbatch": """\
id=$(($(cat last) + 1))
echo $id > last
cp "$2" $id.sh
echo PENDING > $id.state
echo $id
""",
    "squeue": """\
for file in [0-9]*.state; do
  [ -e $file ] || exit 0
  id=${file%.state}
  comment=$(sed -n "s/^#SBATCH --comment='\\(.*\\)'$/\\1/p" $id.sh)
  last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' $id.sh)
  if [ "$last" ]; then tasks=$(seq -f _%g 0 $last); else tasks=alone; fi
  for task in $tasks; do
    echo "$id${task#alone}|$(cat $file)|Priority||0:00|N/A|$comment"
  done
done
""",
    "scancel": """\
for id; do :; done
if [ $(cat $id.state) = PENDING ]; then echo CANCELLED > $id.state; fi
""",
    "scontrol": f"echo MaxArraySize = {MAX_ARRAY_SIZE}\n",
    "sacct": "echo Slurm accounting storage is disabled >&2; exit 1\n",
}


class FakeSlurm:
    """Its programs are before all others on the PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        (folder / "last").write_text("100\n")
        for name, script in PROGRAMS.items():
            self.do(name, script)

    def do(self, program: str, script: str) -> None:
        """Let a program do this."""
        path = self.folder / program
        path.write_text(f"#!/bin/sh\ncd {self.folder}\n{script}")
        path.chmod(0o755)

    def set(self, job_id: str, state: str) -> None:
        """Let a job be in this state."""
        (self.folder / f"{job_id}.state").write_text(f"{state}\n")

    def forget(self, job_id: str) -> None:
        """Let the queue know a job no more."""
        (self.folder / f"{job_id}.state").unlink()

    def states(self) -> dict[str, str]:
        """Of all jobs, by id."""
        files = sorted(self.folder.glob("*.state"))
        return {path.stem: path.read_text().strip() for path in files}

    def script(self, job_id: str) -> str:
        """What sbatch was given."""
        return (self.folder / f"{job_id}.sh").read_text()

    def dependency(self, job_id: str) -> str | None:
        """What a job waits for, in the notation of sbatch."""
        match = re.search(r"^#SBATCH --dependency=(.*)$", self.script(job_id), re.MULTILINE)
        return match[1] if match else None

    def named(self, step: str) -> list[str]:
        """The jobs of a step, the oldest first."""
        return [i for i in self.states() if f"#SBATCH --job-name={step}\n" in self.script(i)]


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "fake-slurm", monkeypatch)
