"""`jobs/status.py --watch` goes on whatever it finds for a moment."""

from pathlib import Path

import pytest

from jobs.status import Arguments, watch
from mcn.root import Root
from tests.boards import Commands, launch


def test_a_watch_outlives_a_file_that_makes_no_sense_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Commands(tmp_path / "bin", monkeypatch).hold(t0="RUNNING", t1="PENDING")
    manifest = launch(tmp_path, "extract", 2).path / "manifest.json"
    content = manifest.read_bytes()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt
        manifest.write_bytes(b"" if len(waits) == 1 else content)

    watch(Root(tmp_path), Arguments(root=tmp_path), wait=wait)
    said = capsys.readouterr().out
    assert f"{manifest} is no manifest" in said
    assert said.count("1 RUNNING") == 2
    with pytest.raises(ValueError, match="--step extrakt"):
        watch(Root(tmp_path), Arguments(root=tmp_path, step="extrakt"), wait=wait)
