"""Features kept of an extraction are used where they belong, and nowhere else."""

from pathlib import Path

import pytest
import torch

from mcn.training.xdc import kept_features
from mcn.training.xdc.kept_features import ChunkFeatures, Identity, KeptFeatures

OURS: Identity = {"step": 3, "round": 1, "clips_at_once": 2, "model": "abc"}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptFeatures:
    monkeypatch.setattr(kept_features, "SECONDS_BETWEEN_FILES", 0.0)
    kept = KeptFeatures(tmp_path, OURS)
    for chunk in range(3):
        rows = torch.full((2, 4), float(chunk))
        kept.add(chunk, ChunkFeatures({"video": rows, "audio": -rows}, {"audio": {"a": chunk}}))
    return kept


def test_features_of_the_same_state_are_found_again(kept: KeptFeatures, tmp_path: Path) -> None:
    known = KeptFeatures(tmp_path, dict(OURS)).load([0, 2, 5])
    assert known.keys() == {0, 2} and (known[2].features["audio"] == -2).all()
    assert known[2].kept_out == {"audio": {"a": 2}}


@pytest.mark.parametrize("name", OURS)
def test_those_of_another_are_not_and_are_removed(
    kept: KeptFeatures, tmp_path: Path, name: str
) -> None:
    assert KeptFeatures(tmp_path, OURS | {name: "other"}).load(range(3)) == {}
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_removed_and_costs_what_it_held(
    kept: KeptFeatures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sorted(tmp_path.iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:-7])
    assert kept.load(range(3)).keys() == {0, 2}
    assert not damaged.exists() and f"{damaged} is not a checkpoint" in capsys.readouterr().err
