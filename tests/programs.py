"""Small programs that stand where SLURM's would, to answer as a broken cluster does."""

import sys
from pathlib import Path

import pytest


class Programs:
    """A folder that is the whole PATH; empty at first."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("PATH", str(folder))

    def add(self, name: str, code: str) -> None:
        """A program that runs these lines of Python."""
        path = self.folder / name
        path.write_text(f"#!{sys.executable}\n{code}\n")
        path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "programs"
    folder.mkdir()
    return Programs(folder, monkeypatch)
