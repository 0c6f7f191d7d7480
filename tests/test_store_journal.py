import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mcn.store.journal import Journal, peek
from mcn.store.plan import ShardPlan
from tests.shards import PROVENANCE, TEXT, VIDEO, done, failed

IDS = ["a", "-b", "c d", "e"]
PLAN = ShardPlan(IDS, VIDEO)


@contextmanager
def opened(path: Path, plan: ShardPlan = PLAN) -> Iterator[Journal]:
    journal = Journal(path, plan)
    try:
        yield journal
    finally:
        journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with three of its four records."""
    path = tmp_path / "00000.journal"
    with opened(path) as journal:
        journal.append(done("a"), PROVENANCE)
        journal.append(failed("-b"), PROVENANCE)
        journal.append(done("c d", num_rows=5), PROVENANCE)
    return path


@pytest.fixture
def in_memory_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of a thousand openings, which a slow disk would make a thousand waits."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def test_records_survive_the_process(path: Path) -> None:
    with opened(path) as journal:
        assert list(journal.entries) == ["a", "-b", "c d"]
        assert journal.dropped_bytes == 0
        entry = journal.entries["c d"]
        np.testing.assert_array_equal(journal.features(entry), done("c d", num_rows=5).features)
        assert journal.entries["-b"].reason == "truncated"
        assert entry.provenance == PROVENANCE


def test_spans_survive_the_process(tmp_path: Path) -> None:
    plan = ShardPlan(["a"], TEXT)
    record = done("a", with_spans=True)
    with opened(tmp_path / "0.journal", plan) as journal:
        journal.append(record, PROVENANCE)
    with opened(tmp_path / "0.journal", plan) as journal:
        assert record.spans is not None
        np.testing.assert_array_equal(journal.spans(journal.entries["a"]), record.spans)
        np.testing.assert_array_equal(journal.features(journal.entries["a"]), record.features)


@pytest.mark.usefixtures("in_memory_only")
def test_a_tail_torn_at_any_byte_is_cut_off_and_nothing_else(path: Path) -> None:
    whole = path.read_bytes()
    with opened(path) as journal:
        second_ends = len(whole) - len(whole_frame(journal, whole))
    for size in range(second_ends, len(whole)):
        path.write_bytes(whole[:size])
        with opened(path) as journal:
            assert list(journal.entries) == ["a", "-b"]
            assert journal.dropped_bytes == size - second_ends
            journal.append(done("c d", num_rows=5), PROVENANCE)
        assert path.read_bytes() == whole


def whole_frame(journal: Journal, data: bytes) -> bytes:
    """The frame of the journal's last record."""
    return data[data.rindex(b"MCNR", 0, journal.entries["c d"].data_offset) :]


@pytest.mark.parametrize("rest", [b"\0" * 4096, b"MCNR" + b"\xff" * 99, b"\xff"])
def test_what_a_crash_leaves_behind_the_last_record_is_cut_off(path: Path, rest: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    with opened(path) as journal:
        assert journal.dropped_bytes == len(rest)
    assert path.read_bytes() == whole


@pytest.mark.usefixtures("in_memory_only")
def test_no_flipped_byte_is_taken_for_data(path: Path) -> None:
    whole = path.read_bytes()
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x20
        path.write_bytes(damaged)
        try:
            with opened(path) as journal:
                assert journal.dropped_bytes > 0
                assert len(journal.entries) < 3
                assert whole.startswith(path.read_bytes())
        except ValueError as error:
            assert "header" in str(error)
            assert path.read_bytes() == damaged  # not ours to overwrite


@pytest.mark.usefixtures("in_memory_only")
def test_a_header_torn_at_any_byte_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "0.journal"
    with opened(path):
        pass
    header = path.read_bytes()
    for size in range(len(header)):
        for begun in (header[:size], header[:size].ljust(len(header), b"\0")):
            path.write_bytes(begun)
            with opened(path) as journal:
                assert not journal.entries
            assert path.read_bytes() == header


def test_another_fingerprint_is_named(path: Path) -> None:
    with pytest.raises(ValueError, match=r"fingerprint.*rows_per_second: 1.0 and None.*delete"):
        Journal(path, ShardPlan(IDS, TEXT))


@pytest.mark.parametrize("ids", [["a"], [*IDS, "f"], IDS[::-1]])
def test_other_videos_are_named(path: Path, ids: list[str]) -> None:
    with pytest.raises(ValueError, match=r"planned for other videos .*delete"):
        Journal(path, ShardPlan(ids, VIDEO))
    with opened(path) as journal:
        assert len(journal.entries) == 3


def test_a_full_disk_costs_one_record_and_leaves_the_journal_whole(path: Path) -> None:
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                journal.append(done("e", num_rows=1000), PROVENANCE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == whole
        journal.append(done("e"), PROVENANCE)
    with opened(path) as journal:
        assert len(journal.entries) == 4


def test_peeking_sees_the_records_of_a_running_writer_and_changes_nothing(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"MCNR torn")
    before = path.read_bytes()
    plan, entries = peek(path)
    assert path.read_bytes() == before
    assert list(plan.video_ids) == IDS
    assert [entry.status for entry in entries] == ["done", "failed", "done"]


def test_peeking_at_something_else_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "0.journal").write_bytes(b"not a journal")
    with pytest.raises(ValueError, match="no whole header"):
        peek(tmp_path / "0.journal")
