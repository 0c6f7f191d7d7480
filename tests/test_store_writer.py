import contextlib
import dataclasses
import errno
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mcn.store.reader import FeatureStore
from mcn.store.record import Record
from mcn.store.verify import verify_shard
from tests.shards import (
    KILLED_IDS,
    PROVENANCE,
    TEXT,
    VIDEO,
    done,
    failed,
    write_shard,
    write_to_be_killed,
    writer,
)

RECORDS = [done("a"), failed("-b"), done("c d", num_rows=5), done("e", num_rows=0)]
IDS = [record.video_id for record in RECORDS]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_sealed_shard_is_plain_hdf5_in_planned_order(tmp_path: Path) -> None:
    write_shard(tmp_path / "00000.h5", RECORDS)
    with h5py.File(tmp_path / "00000.h5") as file:
        assert set(file) == {"features", "index"}
        features, index = file["features"], file["index"][()]
        assert features.dtype == np.float16
        assert features.chunks is None
        np.testing.assert_array_equal(features, np.concatenate([r.features for r in RECORDS]))
        assert [video_id.decode() for video_id in index["video_id"]] == IDS
        assert index["status"].tolist() == [b"done", b"failed", b"done", b"done"]
        assert index["first_row"].tolist() == [0, 3, 3, 8]
        assert json.loads(file.attrs["provenance"]) == [PROVENANCE]
        assert file.attrs["fingerprint"] == VIDEO.to_json()
        assert file.attrs["fingerprint_digest"] == VIDEO.digest()


def test_sealing_leaves_one_file_that_verifies(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "video" / "00000.h5", RECORDS)
    assert names(path.parent) == ["00000.h5"]
    assert verify_shard(path) == []


def test_bytes_do_not_depend_on_order_time_or_restarts(tmp_path: Path) -> None:
    one = write_shard(tmp_path / "one" / "00000.h5", RECORDS)
    time.sleep(1.1)  # HDF5 counts time in seconds
    other = tmp_path / "other" / "77.h5"
    for record in reversed(RECORDS):
        with writer(other, IDS) as shard:
            shard.append(record)
    with writer(other, IDS) as shard:
        shard.seal()
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("records", [[failed("a"), failed("b")], [done("a", num_rows=0)]])
def test_a_shard_without_rows_is_a_shard(tmp_path: Path, records: list[Record]) -> None:
    path = write_shard(tmp_path / "00000.h5", records)
    assert verify_shard(path) == []


def test_each_video_keeps_its_provenance_when_another_node_carries_on(tmp_path: Path) -> None:
    path = tmp_path / "00000.h5"
    for record, device in zip(RECORDS, ["cuda", "cpu", "cuda", "cuda"], strict=True):
        with writer(path, IDS, provenance={"device": device}) as shard:
            shard.append(record)
    with writer(path, IDS, provenance={"device": "only sealing"}) as shard:
        shard.seal()
    with h5py.File(path) as file:
        assert json.loads(file.attrs["provenance"]) == [{"device": "cuda"}, {"device": "cpu"}]
        assert file["index"]["provenance"].tolist() == [0, 1, 0, 0]


def test_done_grows_with_every_record_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "00000.h5"
    with writer(path, IDS) as shard:
        assert shard.done == set()
        shard.append(RECORDS[1])
        assert shard.done == {"-b"}
    with writer(path, IDS) as shard:
        assert shard.done == {"-b"}
        for record in (RECORDS[0], RECORDS[2], RECORDS[3]):
            shard.append(record)
        shard.seal()
        assert shard.done == set(IDS)
    with writer(path, IDS) as shard:
        assert shard.done == set(IDS)


def test_sealing_an_incomplete_shard_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "00000.h5"
    with writer(path, IDS) as shard:
        shard.append(RECORDS[0])
        with pytest.raises(ValueError, match=r"3 of 4 planned videos have no record, '-b' first"):
            shard.seal()
    assert not path.exists()
    with writer(path, IDS) as shard:
        assert shard.done == {"a"}


def test_a_video_that_is_not_planned_or_there_already_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "00000.h5"
    with writer(path, IDS) as shard:
        with pytest.raises(ValueError, match="'zzz' is not planned"):
            shard.append(done("zzz"))
        shard.append(done("a"))
        with pytest.raises(ValueError, match="'a' already has a record"):
            shard.append(done("a"))


def test_an_unsound_record_is_refused_and_not_written(tmp_path: Path) -> None:
    with writer(tmp_path / "00000.h5", IDS) as shard:
        before = (tmp_path / "00000.1.journal").read_bytes()
        with pytest.raises(ValueError, match="NaN"):
            shard.append(
                dataclasses.replace(done("a"), features=np.full((3, 4), np.nan, np.float16))
            )
        assert (tmp_path / "00000.1.journal").read_bytes() == before


def test_a_sealed_shard_of_another_plan_is_not_taken_for_done(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "00000.h5", RECORDS)
    with pytest.raises(ValueError, match="other videos"):
        writer(path, [*IDS, "new"])
    changed = dataclasses.replace(VIDEO, weights_sha256="9" * 64)
    with pytest.raises(ValueError, match="weights_sha256"):
        writer(path, IDS, fingerprint=changed)
    assert names(tmp_path) == ["00000.h5"]


class CrashError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("owner", "step"),
    [(os, "pwrite"), (os, "fsync"), (os, "link"), (Path, "unlink"), (Path, "rmdir")],
)
def test_a_crash_between_any_two_steps_of_sealing_is_mended_by_running_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str
) -> None:
    expected = write_shard(tmp_path / "left alone.h5", RECORDS).read_bytes()
    path = tmp_path / "00000.h5"
    real = getattr(owner, step)
    for calls_before_the_crash in range(7):
        shard = writer(path, IDS, lease_seconds=0.5)
        for record in RECORDS:
            if record.video_id not in shard.done:
                shard.append(record)
        left = [calls_before_the_crash]

        def crash(*arguments: Any, left: list[int] = left, **options: Any) -> Any:
            # The thread that renews the lease writes too, when it is time to.
            is_ours = threading.current_thread() is threading.main_thread()
            left[0] -= is_ours
            if is_ours and left[0] < 0:
                raise CrashError
            return real(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(owner, step, crash)
            with contextlib.suppress(CrashError):
                shard.seal()
        shard.close()
        if path.exists():
            assert path.read_bytes() == expected
        with writer(path, IDS) as again:
            again.seal()
        assert path.read_bytes() == expected
        assert names(tmp_path) == ["00000.h5", "left alone.h5"]
        path.unlink()


def test_a_journal_beside_its_sealed_shard_is_dropped_only_if_the_shard_is_sound(
    tmp_path: Path,
) -> None:
    path = tmp_path / "00000.h5"
    with writer(path, IDS) as shard:
        for record in RECORDS:
            shard.append(record)
        journal = (tmp_path / "00000.1.journal").read_bytes()
        sealed = shard.seal().read_bytes()

    def leave_behind() -> None:
        (tmp_path / "00000.1.journal").write_bytes(journal)
        (tmp_path / "00000.lease").mkdir()

    leave_behind()
    with writer(path, IDS) as shard:
        assert names(tmp_path) == ["00000.h5"]

    leave_behind()
    path.write_bytes(sealed[:-100])
    with writer(path, IDS) as shard:
        assert shard.done == set(IDS)
        shard.seal()
    assert path.read_bytes() == sealed
    assert names(tmp_path) == ["00000.h5"]


def test_damage_to_the_journal_behind_the_writers_back_is_not_sealed(tmp_path: Path) -> None:
    path, journal = tmp_path / "00000.h5", tmp_path / "00000.1.journal"
    with writer(path, IDS) as shard:
        for record in RECORDS:
            shard.append(record)
        good = journal.read_bytes()
        with journal.open("r+b") as file:
            file.seek(good.index(done("c d", num_rows=5).features.tobytes()))
            file.write(b"\0\0")
        with pytest.raises(OSError, match=r"does not read back as it was written.*'c d'"):
            shard.seal()
    assert names(tmp_path) == ["00000.1.journal", "00000.lease"]
    with writer(path, IDS) as shard:
        assert shard.done == {"a", "-b"}
        assert shard.dropped_bytes > 0


def test_a_disk_that_is_full_at_sealing_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "00000.h5"
    expected = write_shard(tmp_path / "left alone.h5", RECORDS).read_bytes()
    with writer(path, IDS) as shard:
        for record in RECORDS:
            shard.append(record)
        pwrite = os.pwrite
        for room in range(0, len(expected), 512):

            def pwrite_where_there_is_room(
                file: int, data: bytes, offset: int, *, room: int = room
            ) -> int:
                if offset >= room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return pwrite(file, data[: room - offset], offset)

            with monkeypatch.context() as patch:
                patch.setattr("os.pwrite", pwrite_where_there_is_room)
                with pytest.raises(OSError, match=r"No space.*the journal, which is kept"):
                    shard.seal()
            assert names(tmp_path) == ["00000.1.journal", "00000.lease", "left alone.h5"]
        assert shard.seal().read_bytes() == expected


def test_text_keeps_its_spans_the_empty_ones_too(tmp_path: Path) -> None:
    records = [done("a", with_spans=True), failed("b"), done("c", num_rows=7, with_spans=True)]
    path = write_shard(tmp_path / "00000.h5", records, fingerprint=TEXT)
    assert verify_shard(path) == []
    with h5py.File(path) as file:
        assert file["index"]["num_spans"].tolist() == [3, 0, 3]
        assert file["spans"]["num_rows"].tolist() == [1, 0, 2, 3, 0, 4]


def test_sigkill_at_random_moments_changes_no_byte(tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed" / "00000.h5"
    started = time.monotonic()
    write_to_be_killed(undisturbed)
    duration = time.monotonic() - started
    killed = tmp_path / "killed" / "00000.h5"
    generator = random.Random(0)
    for _ in range(6):
        run = subprocess.Popen(
            [sys.executable, "-m", "tests.shards", "write", str(killed)], stdout=subprocess.PIPE
        )
        with run:
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(generator.uniform(0, 0.5 * duration))
            run.kill()
        if killed.exists():
            assert killed.read_bytes() == undisturbed.read_bytes()
        else:
            with pytest.raises(FileNotFoundError):
                FeatureStore(killed.parent)
    write_to_be_killed(killed)
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert names(killed.parent) == ["00000.h5"]
    assert len(FeatureStore(killed.parent)) == len(KILLED_IDS) - 9
