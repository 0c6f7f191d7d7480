"""Bad files of fifty kinds through the real steps: each costs itself, and nothing beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcn.data.failure_class import CLASS_OF
from mcn.data.ledger import read_ledger
from mcn.data.manifest import from_folder
from mcn.store.reader import FeatureStore
from mcn.store.verify import verify_shard
from tests.drill import ALONE, LIMITS, after, id_of
from tests.drill_table import TABLE, Found, drill, found_by, rendered
from tests.hostile_inputs import BAD

pytestmark = pytest.mark.slow

MOST_SECONDS = 20
"""What the clock allows, and a new child, on a machine with other work."""
STORES = ("store/video", "store/audio", "store-as-is/video", "store-as-is/audio")


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drill(tmp_path_factory.mktemp("bad") / "drill")


@pytest.fixture(scope="module")
def found(drilled: Path) -> dict[str, Found]:
    return found_by(drilled)


@pytest.fixture(scope="module")
def around(drilled: Path) -> dict[str, Any]:
    """What the drill noticed around it."""
    noticed: dict[str, Any] = json.loads((drilled / "drill.json").read_text())
    return noticed


def test_there_are_kinds_enough() -> None:
    assert len(BAD) >= 24 + 2


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_done_or_has_the_reason_that_it_should(
    found: dict[str, Found], name: str
) -> None:
    bad = BAD[name]
    assert found[name].resized == bad.resized
    assert found[name].as_is == bad.as_is
    if not bad.resized:
        assert found[name].features == bad.features


def test_every_reason_has_a_class(found: dict[str, Found]) -> None:
    reasons = {
        reason for each in found.values() for reason in (each.resized, *each.features, *each.as_is)
    }
    assert reasons - {""} <= CLASS_OF.keys()


def test_a_sound_video_after_a_bad_one_is_resized_to_the_bytes_that_it_has_alone(
    drilled: Path,
) -> None:
    alone = (drilled / "alone" / "resized" / f"{ALONE}.mp4").read_bytes()
    for name in BAD:
        assert (drilled / "resized" / f"{after(name)}.mp4").read_bytes() == alone, name


@pytest.mark.parametrize("store", STORES)
def test_a_sound_video_after_a_bad_one_has_the_rows_that_it_has_alone(
    drilled: Path, store: str
) -> None:
    modality = Path(store).name
    alone = FeatureStore(drilled / "alone" / "store" / modality).read(ALONE).tobytes()
    rows = FeatureStore(drilled / store)
    assert verify_shard(drilled / store / "00000.h5") == []
    assert alone
    for name in BAD:
        assert rows.read(after(name)).tobytes() == alone, name


def test_nothing_outside_is_opened_but_what_a_link_among_the_raw_files_points_at(
    around: dict[str, Any],
) -> None:
    assert set(around["opened_outside"]) == {"raw a link.mp4"}


def test_nothing_appears_outside_and_nothing_half_made_stays(
    drilled: Path, around: dict[str, Any]
) -> None:
    assert around["appeared"] == []
    done = {v.video_id for v in read_ledger(drilled / "ledger").values() if v.status == "done"}
    made = {path.name for path in (drilled / "resized").iterdir()}
    assert made == {f"{video_id}.mp4" for video_id in done}


def test_a_full_disk_stops_each_step_and_spoils_nothing(
    drilled: Path, around: dict[str, Any]
) -> None:
    assert around["full_disk"] == dict.fromkeys(("resize", "video", "audio"), "File too large")
    (entered,) = (drilled / "full-disk" / "ledger" / "00000.jsonl").read_text().splitlines()
    assert json.loads(entered)["status"] == "done"
    for path in ("resized/alone.mp4", "store/video/00000.h5", "store/audio/00000.h5"):
        made = (drilled / "full-disk" / path).read_bytes()
        assert made == (drilled / "alone" / path).read_bytes(), path


def test_nobody_is_spoken_to(around: dict[str, Any]) -> None:
    assert around["num_connections"] == 0


def test_each_file_takes_bounded_time(around: dict[str, Any]) -> None:
    for step, seconds in around["seconds"].items():
        assert max(seconds) < MOST_SECONDS, step


def test_memory_is_bounded(around: dict[str, Any]) -> None:
    assert around["gigabytes"] < 1.5 * LIMITS.memory_gb


def test_what_is_no_file_is_not_taken_for_a_raw_video(drilled: Path) -> None:
    listed = {video.video_id for video in from_folder(drilled / "raw")}
    names = {id_of(name, drilled / "outside") for name in BAD}
    no_files = {"missing", "vanishes", "a pipe", "a folder"}
    in_other_words = {name if "/" in name else "" for name in names} - {""}
    assert names - listed == no_files | in_other_words


def test_the_table_in_the_docs_is_what_the_drill_found(found: dict[str, Found]) -> None:
    assert TABLE.read_text() == rendered(found), "`python -m tests.drill_table` writes it anew"
