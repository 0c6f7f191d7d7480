import random
from pathlib import Path

import pytest

from mcn.store.construction import newest_journals
from mcn.store.fingerprint import Fingerprint
from mcn.store.frames import find_frame
from mcn.store.journal import HEADER_MARKER, peek
from mcn.store.layout import is_sealed
from mcn.store.reader import FeatureStore
from mcn.store.record import Record
from mcn.store.shard import read_shard
from mcn.store.upkeep.journal_repair import repair_journal
from mcn.store.upkeep.repair import repair_shard, shards_to_look_at
from mcn.store.verify import verify_shard
from mcn.store.writer import ShardWriter
from tests.shards import DIM, PROVENANCE, TEXT, VIDEO, done, failed, write_shard

NUM_VIDEOS = 30


def records(fingerprint: Fingerprint = VIDEO) -> list[Record]:
    text = fingerprint is TEXT
    return [
        failed(f"v{number:02d}")
        if number % 6 == 5
        else done(f"v{number:02d}", num_rows=200 + number, with_spans=text)
        for number in range(NUM_VIDEOS)
    ]


IDS = [record.video_id for record in records()]


def journal_ids(shard: Path) -> list[str]:
    (journal,) = newest_journals(shard.parent)
    plan, entries = peek(journal)
    assert list(plan.video_ids) == IDS
    assert all(entry.provenance == PROVENANCE for entry in entries)
    return [entry.video_id for entry in entries]


def extract_what_is_missing(shard: Path, fingerprint: Fingerprint = VIDEO) -> list[str]:
    """As extraction does: with the plan and the fingerprint, what has no record yet."""
    made = []
    with ShardWriter(
        shard, video_ids=IDS, fingerprint=fingerprint, provenance=PROVENANCE
    ) as writer:
        for record in records(fingerprint):
            if record.video_id not in writer.done:
                writer.append(record)
                made.append(record.video_id)
        writer.seal()
    return made


def damage(path: Path, generator: random.Random, *, first: int, stop: int, times: int) -> set[int]:
    """Flips a bit in each of some bytes; returns which."""
    content = bytearray(path.read_bytes())
    places = {generator.randrange(first, stop) for _ in range(times)}
    for place in places:
        content[place] ^= 1 << generator.randrange(8)
    path.write_bytes(content)
    return places


def owners(path: Path, places: set[int]) -> set[str]:
    """The videos whose rows hold one of these bytes, counted from the records themselves."""
    at = read_shard(path).label.features[0]
    hit = set()
    for record in records():
        stop = at + record.features.nbytes
        if any(at <= place < stop for place in places):
            hit.add(record.video_id)
        at = stop
    return hit


@pytest.mark.parametrize("seed", range(12))
def test_repair_keeps_exactly_the_sound_records_and_extraction_makes_the_others(
    tmp_path: Path, seed: int
) -> None:
    generator = random.Random(seed)
    path = write_shard(tmp_path / "00042.h5", records())
    original = path.read_bytes()
    start, stop = read_shard(path).label.features
    places = damage(path, generator, first=start, stop=stop, times=generator.choice([1, 2, 9]))
    expected = owners(path, places)
    repair = repair_shard(path)
    assert repair is not None
    assert set(repair.lost) == expected
    assert repair.num_kept == NUM_VIDEOS - len(expected)
    assert repair.unsealed == [path]
    assert set(journal_ids(path)) == set(IDS) - expected
    assert not is_sealed(path)
    assert set(extract_what_is_missing(path)) == expected
    assert path.read_bytes() == original
    assert repair_shard(path) is None
    assert [found.name for found in tmp_path.iterdir()] == ["00042.h5"]


@pytest.mark.parametrize("seed", range(12))
def test_damage_to_what_says_whose_rows_are_whose_costs_the_shard_and_mixes_nothing_up(
    tmp_path: Path, seed: int
) -> None:
    path = write_shard(tmp_path / "00042.h5", records())
    original = path.read_bytes()
    stop = read_shard(path).label.features[0]
    damage(path, random.Random(seed), first=0, stop=stop, times=2)
    repair = repair_shard(path)
    assert repair is not None
    assert repair.is_all_lost
    assert not newest_journals(tmp_path)
    with pytest.raises(FileNotFoundError):
        FeatureStore(tmp_path)
    assert extract_what_is_missing(path) == IDS
    assert path.read_bytes() == original


def test_of_a_file_that_was_cut_off_the_whole_records_before_the_cut_are_kept(
    tmp_path: Path,
) -> None:
    path = write_shard(tmp_path / "00042.h5", records())
    original = path.read_bytes()
    start, stop = read_shard(path).label.features
    for size in (start, start + 1, (start + stop) // 2, stop - 1):
        path.write_bytes(original[:size])
        missing = owners_after(size - start)
        repair = repair_shard(path)
        assert repair is not None
        assert repair.lost == missing
        assert extract_what_is_missing(path) == missing
        assert path.read_bytes() == original


def owners_after(num_bytes: int) -> list[str]:
    lost, at = [], 0
    for record in records():
        at += record.features.nbytes
        if at > num_bytes and len(record.features):
            lost.append(record.video_id)
    return lost


def test_of_text_with_damaged_spans_only_the_failures_are_certain(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "00042.h5", records(TEXT), fingerprint=TEXT)
    original = path.read_bytes()
    start, stop = read_shard(path).label.spans
    damage(path, random.Random(0), first=start, stop=stop, times=1)
    repair = repair_shard(path)
    assert repair is not None
    assert set(journal_ids(path)) == {r.video_id for r in records() if r.status == "failed"}
    assert extract_what_is_missing(path, TEXT) == repair.lost
    assert path.read_bytes() == original


def test_a_sound_shard_is_left_alone(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "00042.h5", records())
    before = path.stat()
    assert repair_shard(path) is None
    assert path.stat() == before


def test_the_broken_file_is_kept_until_its_videos_are_sealed_again(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "00042.h5", records())
    damage(path, random.Random(0), first=path.stat().st_size - 9, stop=path.stat().st_size, times=1)
    spoilt = path.read_bytes()
    broken = tmp_path / "00042.h5.broken"
    for _ in range(3):
        assert repair_shard(path) is not None
        assert broken.read_bytes() == spoilt
        assert shards_to_look_at(tmp_path) == [path]
    extract_what_is_missing(path)
    assert broken.exists()
    assert repair_shard(path) is None
    assert not broken.exists()


def test_readers_do_not_see_a_shard_that_is_being_repaired(tmp_path: Path) -> None:
    write_shard(tmp_path / "00000.h5", [done("other")])
    path = write_shard(tmp_path / "00042.h5", records())
    damage(path, random.Random(0), first=path.stat().st_size - 9, stop=path.stat().st_size, times=1)
    repair_shard(path)
    assert FeatureStore(tmp_path).video_ids == ["other"]


def test_a_repair_that_dies_at_any_write_is_mended_by_running_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "00042.h5"
    write_shard(path, records())
    original = path.read_bytes()
    places = damage(path, random.Random(3), first=len(original) - 5000, stop=len(original), times=2)
    expected, spoilt = owners(path, places), path.read_bytes()
    append = ShardWriter.append
    for appends_before_the_crash in range(0, NUM_VIDEOS - len(expected), 5):
        left = [appends_before_the_crash]

        def crash(
            self: ShardWriter,
            record: Record,
            provenance: dict[str, str | int | float] | None = None,
            left: list[int] = left,
        ) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise InterruptedError
            append(self, record, provenance)

        path.write_bytes(spoilt)
        with monkeypatch.context() as patch:
            patch.setattr(ShardWriter, "append", crash)
            with pytest.raises(InterruptedError):
                repair_shard(path)
        repair = repair_shard(path)
        assert repair is not None
        assert set(repair.lost) == expected
        assert set(extract_what_is_missing(path)) == expected
        assert path.read_bytes() == original
        assert verify_shard(path) == []


@pytest.mark.parametrize("seed", range(8))
def test_records_behind_a_damaged_place_of_a_journal_are_kept(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "00042.h5"
    generator = random.Random(seed)
    with ShardWriter(path, video_ids=IDS, fingerprint=VIDEO, provenance=PROVENANCE) as writer:
        for record in records():
            writer.append(record)
    (journal,) = newest_journals(tmp_path)
    content = bytearray(journal.read_bytes())
    ends, names = frame_ends(journal)
    hit = set()
    for _ in range(generator.choice([1, 2, 5])):
        place = generator.randrange(ends[0], len(content))
        content[place] ^= 1 << generator.randrange(8)
        hit.add(next(name for name, end in zip(names, ends[1:], strict=True) if place < end))
    journal.write_bytes(content)
    behind = [name for name in names[names.index(min(hit)) + 1 :] if name not in hit]
    assert repair_journal(journal) == (len(behind) or None)
    assert set(extract_what_is_missing(path)) == hit
    assert path.read_bytes() == write_shard(tmp_path / "whole.h5", records()).read_bytes()


def frame_ends(journal: Path) -> tuple[list[int], list[str]]:
    """Where the header and each record end, and whose they are."""
    entries = peek(journal)[1]
    ends = [entry.data_offset + entry.num_rows * DIM * 2 for entry in entries]
    with journal.open("rb") as file:
        header = find_frame(file.fileno(), 0, HEADER_MARKER)
    assert header is not None
    return [header.end, *ends], [entry.video_id for entry in entries]


def test_a_sound_journal_and_a_torn_end_are_left_to_who_carries_on(tmp_path: Path) -> None:
    with ShardWriter(
        tmp_path / "00042.h5", video_ids=IDS, fingerprint=VIDEO, provenance=PROVENANCE
    ) as writer:
        for record in records()[:5]:
            writer.append(record)
        (journal,) = newest_journals(tmp_path)
        assert repair_journal(journal) is None  # and does not wait for the writer
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-3])
    assert repair_journal(journal) is None
    assert journal.read_bytes() == whole[:-3]
    journal.write_bytes(b"x" + whole[1:])
    with pytest.raises(ValueError, match="header is damaged"):
        repair_journal(journal)
