from pathlib import Path

import h5py
import numpy as np
import pytest

from mcn.store.fingerprint import Fingerprint
from mcn.store.shard import open_shard
from mcn.store.verify import verify_shard
from tests.shards import TEXT, VIDEO, done, failed, write_shard


@pytest.fixture(params=[VIDEO, TEXT], ids=["video", "text"])
def shard(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    fingerprint: Fingerprint = request.param
    with_spans = fingerprint is TEXT
    records = [done("a", with_spans=with_spans), failed("b"), done("c", with_spans=with_spans)]
    return write_shard(tmp_path / "00000.h5", records, fingerprint=fingerprint)


def test_a_sound_shard_has_no_problems(shard: Path) -> None:
    assert verify_shard(shard) == []


def test_no_flipped_bit_anywhere_in_the_file_goes_unseen(shard: Path) -> None:
    whole = shard.read_bytes()
    ends = 600, len(whole) - 300  # label and data in full, HDF5's structures in steps
    for offset in (*range(ends[0]), *range(*ends, 5), *range(ends[1], len(whole))):
        with shard.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([whole[offset] ^ 1 << offset % 8]))
        assert verify_shard(shard), f"byte {offset}"
        with shard.open("r+b") as file:
            file.seek(offset)
            file.write(whole[offset : offset + 1])
    assert verify_shard(shard) == []


def test_a_flipped_byte_of_features_names_the_video(shard: Path) -> None:
    whole = bytearray(shard.read_bytes())
    whole[whole.index(done("c").features.tobytes()) + 5] ^= 1
    shard.write_bytes(whole)
    assert verify_shard(shard) == ["video 'c': features do not match their checksum"]


def test_no_cut_or_lengthened_file_goes_unseen(shard: Path) -> None:
    whole = shard.read_bytes()
    for size in range(0, len(whole), 41):
        shard.write_bytes(whole[:size])
        assert verify_shard(shard), f"cut at {size}"
    for more in (b"\0", b"\0" * 4096, b"x"):
        shard.write_bytes(whole + more)
        assert verify_shard(shard), f"lengthened by {more!r}"


def test_what_is_no_shard_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    path = tmp_path / "00000.h5"
    assert verify_shard(path)
    assert verify_shard(tmp_path)
    for content in (b"", b"\0" * 9999, b"hello", np.random.default_rng(0).bytes(9999)):
        path.write_bytes(content)
        assert verify_shard(path)
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((3, 4), np.float16)
    assert verify_shard(path)


def test_an_unreadable_shard_says_where_to_look(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"00000.h5.*python jobs/store.py verify"):
        open_shard(shard)
