import contextlib
import dataclasses
import multiprocessing
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from mcn.store.ids import sorted_once
from mcn.store.outcomes import StoreOutcomes
from mcn.store.reader import FeatureStore
from tests.shards import DIM, TEXT, VIDEO, done, failed, write_shard, writer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards with four videos that are done and two that failed."""
    folder = tmp_path / "video-resnet152"
    first = [done("a", num_rows=20), failed("b"), done("-c", num_rows=7)]
    write_shard(folder / "00000.h5", first)
    second = [failed("d e", "no-audio"), done("f", num_rows=0), done("g", num_rows=9)]
    write_shard(folder / "00001.h5", second)
    return folder


def open_descriptors(folder: Path) -> dict[int, str]:
    """This process's descriptors of files in the folder, with the name of each."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of this very listing
            found[int(link.name)] = link.readlink()
    return {number: path.name for number, path in found.items() if path.parent == folder}


def test_a_store_knows_its_videos_and_what_made_them(folder: Path) -> None:
    store = FeatureStore(folder)
    assert store.video_ids == ["a", "-c", "f", "g"]
    assert len(store) == 4
    assert "a" in store
    assert "b" not in store
    assert store.failures() == [("b", "truncated"), ("d e", "no-audio")]
    assert store.fingerprint == VIDEO
    assert (store.dim, store.rows_per_second) == (DIM, 1.0)
    assert store.entry("g") == (folder / "00001.h5", 9, 1.0, 0)


def test_rows_are_those_that_h5py_reads_from_the_same_file(folder: Path) -> None:
    store = FeatureStore(folder)
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            for entry in file["index"]:
                if entry["status"] == b"failed":
                    continue
                stop = entry["first_row"] + entry["num_rows"]
                expected = file["features"][entry["first_row"] : stop]
                rows = store.read(entry["video_id"].decode())
                assert rows.dtype == np.float16
                np.testing.assert_array_equal(rows, expected)


def test_every_range_of_rows_is_the_slice_of_the_whole(folder: Path) -> None:
    store = FeatureStore(folder)
    whole = done("-c", num_rows=7).features
    for first in range(8):
        np.testing.assert_array_equal(store.read("-c", first), whole[first:])
        for stop in range(first, 8):
            np.testing.assert_array_equal(store.read("-c", first, stop), whole[first:stop])


def test_rows_belong_to_the_caller(folder: Path) -> None:
    store = FeatureStore(folder)
    store.read("a")[:] = 0
    assert store.read("a").any()


@pytest.mark.parametrize(("first", "stop"), [(-1, 3), (0, 8), (5, 4), (8, None), (0, -1)])
def test_rows_that_are_not_there_are_refused(folder: Path, first: int, stop: int | None) -> None:
    with pytest.raises(ValueError, match=r"'-c' has rows \[0, 7\)"):
        FeatureStore(folder).read("-c", first, stop)


def test_unknown_and_failed_videos_are_told_apart(folder: Path) -> None:
    store = FeatureStore(folder)
    with pytest.raises(KeyError, match=r"'zzz' is not in .*video-resnet152"):
        store.read("zzz")
    with pytest.raises(KeyError, match=r"'d e' failed .*no-audio"):
        store.read("d e")
    with pytest.raises(KeyError, match="'zzz' is not in"):
        store.entry("zzz")


def test_spans_come_back_with_the_rows_of_each(tmp_path: Path) -> None:
    records = [
        done("a", num_rows=5, with_spans=True),
        failed("b"),
        done("c", num_rows=0, with_spans=True),
        done("d", num_rows=8, with_spans=True),
    ]
    write_shard(tmp_path / "00000.h5", records, fingerprint=TEXT)
    store = FeatureStore(tmp_path)
    assert store.rows_per_second is None
    for record in (records[0], records[2], records[3]):
        assert record.spans is not None
        np.testing.assert_array_equal(store.spans(record.video_id), record.spans)
        np.testing.assert_array_equal(store.read(record.video_id), record.features)


def test_rows_at_a_fixed_rate_have_no_spans(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"1.0 per second"):
        FeatureStore(folder).spans("a")


def test_an_empty_store_names_the_command_that_fills_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError, match=r"no shards.*python jobs/extract.py"):
            FeatureStore(folder)


def test_half_made_shards_are_not_seen(folder: Path, tmp_path: Path) -> None:
    with writer(folder / "00002.h5", ["new", "newer"]) as shard:
        shard.append(done("new"))
        (folder / "00002.packing").write_bytes((folder / "00001.h5").read_bytes()[:-1])
        assert "new" not in FeatureStore(folder)
    with writer(tmp_path / "only begun" / "00000.h5", ["new"]) as shard:
        shard.append(done("new"))
        with pytest.raises(FileNotFoundError, match="only 1 shards under construction"):
            FeatureStore(tmp_path / "only begun")


def test_a_damaged_shard_is_refused_by_name(folder: Path) -> None:
    path = folder / "00001.h5"
    path.write_bytes(path.read_bytes().replace(b"no-audio", b"no-video"))
    with pytest.raises(ValueError, match=r"00001.h5 cannot be read"):
        FeatureStore(folder)


def test_mixed_fingerprints_are_refused_unless_told_otherwise(folder: Path) -> None:
    other = dataclasses.replace(VIDEO, weights_sha256="7" * 64)
    write_shard(folder / "00002.h5", [done("new")], fingerprint=other)
    with pytest.raises(ValueError, match=r"00000.h5 and .*00002.h5 .*weights_sha256: 0+ and 7+"):
        FeatureStore(folder)
    store = FeatureStore(folder, mixed=True)
    assert store.fingerprints == [VIDEO, other]
    np.testing.assert_array_equal(store.read("new"), done("new").features)
    with pytest.raises(ValueError, match="mixed"):
        _ = store.fingerprint


def test_rows_of_different_rates_cannot_be_mixed_at_all(folder: Path) -> None:
    other = dataclasses.replace(VIDEO, rows_per_second=2.0)
    write_shard(folder / "00002.h5", [done("new")], fingerprint=other)
    with pytest.raises(ValueError, match=r"rows_per_second: 1.0 and 2.0.*cannot"):
        FeatureStore(folder, mixed=True)


@pytest.mark.parametrize("name", ["0.h5", "00002.h5"])
def test_a_video_that_failed_in_one_shard_and_is_done_in_another_is_done(
    folder: Path, name: str
) -> None:
    write_shard(folder / name, [failed("a"), failed("twice", "hung")])
    write_shard(folder / "00003.h5", [failed("twice", "crashed")])
    store = FeatureStore(folder)
    assert store.video_ids.count("a") == 1
    np.testing.assert_array_equal(store.read("a"), done("a", num_rows=20).features)
    assert dict(store.failures()) == {"b": "truncated", "d e": "no-audio", "twice": "crashed"}
    assert len(store.failures()) == 3
    outcomes = StoreOutcomes.of(folder)
    assert set(outcomes.done.tolist()) == {video_id.encode() for video_id in store.video_ids}
    assert {k: failure.reason for k, failure in outcomes.failed.items()} == dict(store.failures())
    assert outcomes.failed["twice"].num_records == 2


def test_of_a_video_that_is_done_in_two_shards_the_one_planned_last_is_read(folder: Path) -> None:
    write_shard(folder / "100000.h5", [done("a", num_rows=7), done("late")])
    store = FeatureStore(folder)
    assert store.entry("a").shard == folder / "100000.h5"
    np.testing.assert_array_equal(store.read("a"), done("a", num_rows=7).features)
    assert store.video_ids.count("a") == 1
    assert StoreOutcomes.of(folder).done.tolist() == sorted(map(str.encode, store.video_ids))


def test_two_records_of_a_video_are_an_error_where_nothing_says_which_is_newer(
    folder: Path,
) -> None:
    path = write_shard(folder / "copy.h5", [done("a")])
    with pytest.raises(ValueError, match=r"'a' is in .*00000.h5 and in .*copy.h5.*which .* newer"):
        FeatureStore(folder)
    path.unlink()
    other = dataclasses.replace(VIDEO, weights_sha256="7" * 64)
    write_shard(folder / "00002.h5", [done("a")], fingerprint=other)
    with pytest.raises(ValueError, match=r"'a' is in .*00000.h5 and in .*00002.h5"):
        FeatureStore(folder, mixed=True)


def test_files_are_opened_at_the_first_read_only(folder: Path) -> None:
    store = FeatureStore(folder)
    assert open_descriptors(folder) == {}
    store.read("a")
    store.read("-c")
    assert list(open_descriptors(folder).values()) == ["00000.h5"]
    del store
    assert open_descriptors(folder) == {}


def test_a_store_can_be_pickled_while_in_use(folder: Path) -> None:
    store = FeatureStore(folder)
    store.read("a")
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy.read("g"), store.read("g"))
    assert copy.video_ids == store.video_ids


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_opens_its_own_files(folder: Path) -> None:
    store = FeatureStore(folder)
    expected = store.read("a")
    (ours,) = open_descriptors(folder)
    child = os.fork()
    if not child:
        status = 1
        try:
            same = np.array_equal(store.read("a"), expected)
            (theirs,) = open_descriptors(folder)
            os.lseek(theirs, 7, os.SEEK_SET)  # moves ours too, were it the same open file
            status = 0 if same else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert os.lseek(ours, 0, os.SEEK_CUR) == 0
    np.testing.assert_array_equal(store.read("a"), expected)


def test_a_shard_replaced_behind_the_reader_is_noticed(folder: Path) -> None:
    store = FeatureStore(folder)
    (folder / "00001.h5").unlink()
    write_shard(folder / "00001.h5", [done("g", num_rows=10)])
    with pytest.raises(OSError, match=r"00001.h5 has been replaced"):
        store.read("g")
    store.read("a")


def test_more_shards_than_descriptors_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"video{number}" for number in range(12)]
    for number, video_id in enumerate(ids):
        write_shard(tmp_path / f"{number:05d}.h5", [done(video_id)])
    monkeypatch.setattr("resource.getrlimit", lambda _: (8 * 5, 1024))
    store = FeatureStore(tmp_path)
    for video_id in ids * 2:
        np.testing.assert_array_equal(store.read(video_id), done(video_id).features)
        assert len(open_descriptors(tmp_path)) <= 5


def read_all(store: FeatureStore) -> float:
    return float(sum(store.read(video_id).astype(np.float64).sum() for video_id in store.video_ids))


def test_spawned_workers_read_what_the_parent_reads(folder: Path) -> None:
    store = FeatureStore(folder)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_all, [store]) == read_all(store)


@pytest.mark.parametrize("ids", [[], [b"a"], [b"b", b"a", b"b", b"-", b"a"]])
def test_ids_sorted_once_are_those_of_numpy(ids: list[bytes]) -> None:
    assert sorted_once(np.array(ids, "S3")).tolist() == np.unique(np.array(ids, "S3")).tolist()
