"""What asks for work imports no torch, which takes seconds: submitting is quick."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcn.root import REPOSITORY

SUBMIT = ("--cluster", "slurm", "--dry-run")
GRID = ("--models", "mcn,mmv-fac,xdc-xdc", "--stages", "AV_T,AVT")
RUN_AND_TELL = (
    "import atexit, runpy, sys\n"
    "atexit.register(lambda: print('torch' in sys.modules))\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run(name: str, *options: str) -> tuple[str, str]:
    """What a command says, and whether it had imported torch at its end."""
    command = [sys.executable, "-c", RUN_AND_TELL, str(REPOSITORY / "jobs" / f"{name}.py")]
    said = subprocess.check_output([*command, *options], text=True).splitlines()
    return "\n".join(said[:-1]), said[-1]


@pytest.mark.parametrize(
    "name, options",
    [
        ("train", ["--stage", "AV_T", "--gpus", "4"]),
        ("train", ["--model", "xdc", "--inputs", "clips", "--gpus", "4"]),
        ("study", [*GRID, "--gpus", "4"]),
    ],
)
def test_what_trains_is_submitted_without_torch(
    tmp_path: Path, name: str, options: list[str]
) -> None:
    said, has_torch = run(name, "--root", str(tmp_path), *options, *SUBMIT)
    assert "#SBATCH --gpus-per-node=4" in said
    assert has_torch == "False"


@pytest.mark.parametrize(
    "name", ["train", "study", "evaluate", "download", "resize", "extract", "status"]
)
def test_help_is_given_without_torch(name: str) -> None:
    said, has_torch = run(name, "--help")
    assert "--root" in said
    assert has_torch == "False"
