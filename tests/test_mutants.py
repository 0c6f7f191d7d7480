"""Random damage to a sound video, many times over: the task goes on, and knows every reason."""

from collections import Counter
from pathlib import Path

import pytest

from extractors.resize import resize_video
from mcn.data.failure_class import CLASS_OF
from mcn.data.ledger import read_ledger
from tests.bad_files import mutate, plain
from tests.drill import RULE, extract, resize, sources
from tests.drill_table import reasons_of

pytestmark = pytest.mark.slow

UNSEEMLY = {"unforeseen", "unreadable-now"}
"""What no damage to a file may end in."""
MUTANTS = [f"mutant {seed}" for seed in range(40)]


def write_mutants(sound: Path, folder: Path) -> dict[str, Path]:
    folder.mkdir()
    content = sound.read_bytes()
    paths = {video_id: folder / f"{video_id}.mp4" for video_id in MUTANTS}
    for seed, path in enumerate(paths.values()):
        path.write_bytes(mutate(content, seed))
    return paths


def test_every_mutant_of_a_raw_video_is_resized_or_has_a_reason_that_is_known(
    tmp_path: Path,
) -> None:
    (tmp_path / "resized").mkdir()
    resize(write_mutants(plain(tmp_path / "sound.mp4"), tmp_path / "raw"), tmp_path)
    outcomes = read_ledger(tmp_path / "ledger")
    assert sorted(outcomes) == sorted(MUTANTS)
    reasons = Counter(outcome.reason for outcome in outcomes.values())
    print(reasons)
    assert len(reasons) > 2
    assert reasons.keys() - {""} <= CLASS_OF.keys() - UNSEEMLY
    made = {path.stem for path in (tmp_path / "resized").iterdir()}
    assert made == {k for k, outcome in outcomes.items() if outcome.status == "done"}


def test_every_mutant_of_a_resized_video_has_features_or_a_reason_that_is_known(
    tmp_path: Path,
) -> None:
    good = tmp_path / "good.mp4"
    resize_video(plain(tmp_path / "sound.mp4"), good, RULE)
    write_mutants(good, tmp_path / "resized")
    for source in sources(tmp_path / "resized", MUTANTS):
        folder = tmp_path / "store" / source.fingerprint.extractor
        extract(source, MUTANTS, folder)
        reasons = reasons_of(folder)
        assert sorted(reasons) == sorted(MUTANTS)
        print(Counter(reasons.values()))
        assert len(set(reasons.values())) > 2
        assert set(reasons.values()) - {""} <= CLASS_OF.keys() - UNSEEMLY
