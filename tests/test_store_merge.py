import dataclasses
import errno
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcn.store.fingerprint import Fingerprint
from mcn.store.outcomes import StoredFailure, StoreOutcomes
from mcn.store.reader import FeatureStore
from mcn.store.shard import open_shard, shard_paths
from mcn.store.upkeep import merge, swap
from mcn.store.upkeep.merge import Merge, merge_store
from mcn.store.upkeep.merged import is_merged
from mcn.store.upkeep.repair import repair_shard
from mcn.store.verify import verify_shard
from tests.kills import killed_before
from tests.shards import TEXT, VIDEO, done, failed, write_shard, writer

SIZES = [3, 4, 20, 2, 1, 5]


def store_of_small_shards(folder: Path, fingerprint: Fingerprint = VIDEO) -> Path:
    for number, size in enumerate(SIZES):
        records = [
            done(f"{number}-{video}", num_rows=video, with_spans=fingerprint is TEXT)
            for video in range(size - 1)
        ]
        write_shard(
            folder / f"{number:05d}.h5",
            [*records, failed(f"{number}-bad")],
            fingerprint=fingerprint,
            provenance={"device": f"gpu{number % 2}"},
        )
    return folder


def merged(folder: Path, videos_per_shard: int = 10) -> Merge:
    return merge_store(folder, videos_per_shard=videos_per_shard, is_shown=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def all_of(folder: Path) -> dict[str, object]:
    """Every record of a store with what made it, however it lies in shards."""
    store = FeatureStore(folder)
    found: dict[str, object] = dict(store.failures())
    for video_id in store.video_ids:
        spans = b"" if store.rows_per_second else store.spans(video_id).tobytes()
        found[video_id] = store.read(video_id).tobytes(), spans
    for path in shard_paths(folder):
        shard = open_shard(path)
        for entry in shard.index:
            video_id = entry["video_id"].decode()
            made_by = shard.provenances()[entry["provenance"]]
            found[video_id] = found[video_id], float(entry["completeness"]), made_by
    return found


@pytest.mark.parametrize("fingerprint", [VIDEO, TEXT], ids=["video", "text"])
def test_a_merged_store_has_the_same_records_in_fewer_shards(
    tmp_path: Path, fingerprint: Fingerprint
) -> None:
    store = store_of_small_shards(tmp_path / "video", fingerprint)
    before, kept = all_of(store), (store / "00002.h5").stat().st_ino
    assert merged(store) == Merge(6, 3)
    assert all_of(store) == before
    assert [path.name for path in shard_paths(store)] == [
        "00002.h5",
        "00005.h5",
        "merged-00000.h5",
    ]
    assert (store / "00002.h5").stat().st_ino == kept  # not copied
    assert all(verify_shard(path) == [] for path in shard_paths(store))
    assert names(tmp_path) == ["merging", "video"]
    assert names(tmp_path / "merging") == []


def test_a_second_merge_has_nothing_to_do(tmp_path: Path) -> None:
    store = store_of_small_shards(tmp_path / "video")
    merged(store)
    before = {path.name: path.stat().st_ino for path in store.iterdir()}
    assert merged(store) == Merge(3, 3)
    assert {path.name: path.stat().st_ino for path in store.iterdir()} == before


def test_extraction_knows_that_merged_shards_are_made_and_new_ones_are_not(tmp_path: Path) -> None:
    store = store_of_small_shards(tmp_path / "video")
    merged(store)
    states = [is_merged(store / f"{number:05d}.h5") for number in range(8)]
    assert states == [True, True, False, True, True, False, False, False]


def test_merged_shards_are_merged_again_with_later_ones(tmp_path: Path) -> None:
    store = store_of_small_shards(tmp_path / "video")
    merged(store)
    write_shard(store / "00006.h5", [done("late")])
    before = all_of(store)
    assert merged(store, 100) == Merge(4, 1)
    assert all_of(store) == before
    assert [path.name for path in shard_paths(store)] == ["merged-00001.h5"]
    assert all(is_merged(store / f"{number:05d}.h5") for number in range(7))


def test_shards_that_were_made_differently_are_not_merged(tmp_path: Path) -> None:
    write_shard(tmp_path / "video" / "00000.h5", [done("a")])
    other = Fingerprint("resnet50", "2" * 64, VIDEO.dim, 1.0, {})
    write_shard(tmp_path / "video" / "00001.h5", [done("b")], fingerprint=other)
    write_shard(tmp_path / "video" / "00002.h5", [done("c")])
    assert merged(tmp_path / "video") == Merge(3, 2)
    assert {open_shard(path).label.fingerprint_digest for path in shard_paths(tmp_path / "video")}


def test_nothing_is_merged_while_a_shard_is_under_construction(tmp_path: Path) -> None:
    store = store_of_small_shards(tmp_path / "video")
    with (
        writer(store / "00006.h5", ["new"]),
        pytest.raises(ValueError, match=r"00006\.(1\.journal|lease)"),
    ):
        merged(store)
    assert len(shard_paths(store)) == len(SIZES)


def test_a_shard_that_is_begun_while_others_are_merged_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of_small_shards(tmp_path / "video")
    exchange = swap._exchange

    def begin_a_shard_just_before(one: Path, other: Path) -> None:
        if not list(store.glob("00006*")):
            with writer(store / "00006.h5", ["new", "newer"]) as shard:
                shard.append(done("new"))
        exchange(one, other)

    monkeypatch.setattr(swap, "_exchange", begin_a_shard_just_before)
    with pytest.raises(ValueError, match="was written to"):
        merged(store)
    assert len(shard_paths(store)) == len(SIZES)
    with writer(store / "00006.h5", ["new", "newer"]) as shard:
        assert shard.done == {"new"}


def test_damaged_features_are_not_merged_and_the_old_shards_stay(tmp_path: Path) -> None:
    store = store_of_small_shards(tmp_path / "video")
    content = bytearray((store / "00001.h5").read_bytes())
    content[-1] ^= 1
    (store / "00001.h5").write_bytes(content)
    with pytest.raises(ValueError, match=r"00001.h5.*'1-2'.*repair"):
        merged(store)
    assert len(shard_paths(store)) == len(SIZES)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_merge_killed_before_any_call_leaves_the_old_store_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a killed process loses nothing it wrote
    if not can_exchange:
        monkeypatch.setattr(swap, "_exchange", refuse_to_exchange)
    original = tmp_path / "original"
    for number, size in enumerate([1, 2, 9, 1]):
        write_shard(
            original / f"{number:05d}.h5", [done(f"{number}-{video}") for video in range(size)]
        )
    reference = tmp_path / "reference" / "video"
    shutil.copytree(original, reference)
    merged(reference, 5)
    expected, old_names, new_names = all_of(reference), names(original), names(reference)
    seen, call, was_killed = set(), 0, True
    while was_killed:
        place = tmp_path / f"{call}"
        store = place / "video"
        shutil.copytree(original, store)
        was_killed = killed_before(call, partial(merged, store, 5))
        if can_exchange or store.exists():
            seen.add(tuple(names(store)))
            assert names(store) in (old_names, new_names)
            assert all_of(store) == expected
        assert merged(store, 5).num_after == 2
        assert names(store) == new_names
        assert names(place / "merging") == []
        for name in new_names:
            assert (store / name).read_bytes() == (reference / name).read_bytes()
        shutil.rmtree(place)
        call += 1
    assert call > 100
    assert seen == {tuple(old_names), tuple(new_names)}


def refuse_to_exchange(one: Path, other: Path) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_what_is_lost_of_a_merged_shard_goes_back_to_the_planned_shards(tmp_path: Path) -> None:
    store = store_of_small_shards(tmp_path / "video")
    before = {path.name: path.read_bytes() for path in shard_paths(store)}
    merged(store, 100)
    path = store / "merged-00000.h5"  # its last rows are the last of shard 5
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    repair = repair_shard(path)
    assert repair is not None
    assert repair.lost == ["5-3"]
    assert repair.unsealed == [store / "00005.h5"]
    for name in before.keys() - {"00005.h5"}:
        assert (store / name).read_bytes() == before[name]
    assert not any(is_merged(store / name) for name in before)
    ids = [*(f"5-{video}" for video in range(4)), "5-bad"]
    with writer(store / "00005.h5", ids, provenance={"device": "gpu1"}) as shard:
        assert shard.done == set(ids) - {"5-3"}
        shard.append(done("5-3", num_rows=3))
        shard.seal()
    assert (store / "00005.h5").read_bytes() == before["00005.h5"]
    assert repair_shard(path) is not None
    assert not list(store.glob("*.broken")) + list(store.glob("*.unmerged"))
    assert len(FeatureStore(store)) == sum(SIZES) - len(SIZES)


def test_reading_a_merged_video_gives_its_rows(tmp_path: Path) -> None:
    store = store_of_small_shards(tmp_path / "video")
    merged(store)
    np.testing.assert_array_equal(FeatureStore(store).read("5-3"), done("5-3", num_rows=3).features)


def test_a_merge_leaves_the_newest_reason_and_record_the_ones_that_count(tmp_path: Path) -> None:
    store = tmp_path / "video"
    write_shard(store / "00000.h5", [failed("x", "hung"), done("y", num_rows=2)])
    write_shard(store / "00004.h5", [done("other")])
    write_shard(store / "00002.h5", [failed("x", "missing"), done("y", num_rows=9)])
    write_shard(store / "00003.h5", [failed("x", "truncated")])
    assert merged(store) == Merge(4, 3)
    assert [path.name for path in shard_paths(store)][-1] == "merged-00000.h5"
    assert FeatureStore(store).failures() == [("x", "truncated")]
    assert StoreOutcomes.of(store).failed == {"x": StoredFailure("truncated", 3)}
    assert FeatureStore(store).entry("y").num_rows == 9


def test_shards_are_grouped_in_one_look_at_each(tmp_path: Path) -> None:
    one = open_shard(write_shard(tmp_path / "00000.h5", [done("0000")]))
    looks = []

    class Counted(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            looks.append(key)
            return np.asarray(self)[key]

    shards = []
    for number in range(100):
        index = one.index.copy()
        index["video_id"] = f"{number:04d}".encode()
        shards.append(dataclasses.replace(one, index=index.view(Counted)))
    (group,) = merge._group(shards, 100)
    assert [id(shard) for shard in group.shards] == [id(shard) for shard in shards]
    assert len(looks) == len(shards)
