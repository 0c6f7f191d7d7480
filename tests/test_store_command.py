"""The verbs of `jobs/store.py`, as people give them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mcn.store.reader import FeatureStore
from mcn.store.shard import read_shard
from tests.shards import DIM, done, failed, write_shard, writer

REPOSITORY = Path(__file__).resolve().parent.parent
FORMAT = ["--extractor", "resnet152", "--dim", str(DIM), "--rows-per-second", "1.5"]


def store_command(*arguments: object, status: int = 0) -> str:
    command = [sys.executable, REPOSITORY / "jobs" / "store.py", *arguments]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert run.returncode == status, run.stderr
    return run.stdout + run.stderr


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    folder = tmp_path / "features" / "video_j"
    folder.mkdir(parents=True)
    for number in range(7):
        np.save(folder / f"video{number}_2d.npy", np.full((number + 1, DIM), number, "f4"))
    (folder / "bad_2d.npy").write_bytes(b"")
    return folder.parent


def test_import_plans_shards_and_later_files_make_new_ones(tmp_path: Path, arrays: Path) -> None:
    options = ["--store", "video-2d", "--root", tmp_path, "--suffix", "_2d", *FORMAT]
    said = store_command("import", arrays, *options, "--videos-per-shard", 3)
    assert "7 videos, and 1 whose files are not usable" in said
    folder = tmp_path / "store" / "video-2d"
    first = shard_bytes(folder)
    assert list(first) == ["00000.h5", "00001.h5", "00002.h5"]
    np.save(arrays / "late_2d.npy", np.ones((2, DIM), "f2"))
    store_command("import", arrays, *options, "--videos-per-shard", 3)
    second = shard_bytes(folder)
    assert list(second) == [*first, "00003.h5"]
    assert all(second[name] == first[name] for name in first)
    store = FeatureStore(folder)
    assert dict(store.failures()) == {"bad": "empty-file"}
    np.testing.assert_array_equal(store.read("video3"), np.full((4, DIM), 3, "f2"))


def test_import_after_a_merge_makes_nothing_again(tmp_path: Path, arrays: Path) -> None:
    options = ["--store", "video-2d", "--root", tmp_path, "--suffix", "_2d", *FORMAT]
    store_command("import", arrays, *options, "--videos-per-shard", 3)
    folder = tmp_path / "store" / "video-2d"
    assert "3 shards before, 1 now" in store_command("merge", folder)
    merged = shard_bytes(folder)
    store_command("import", arrays, *options, "--videos-per-shard", 3)
    assert shard_bytes(folder) == merged
    assert len(FeatureStore(folder)) == 7


def test_import_asks_for_what_files_do_not_say(tmp_path: Path, arrays: Path) -> None:
    options = ["--root", tmp_path, "--suffix", "_2d"]
    said = store_command("import", arrays, "--store", "video-2d", *options, status=1)
    assert "--extractor, --dim and --rows-per-second" in said
    for name in ("video", "plans", "a/b", "..", ""):
        said = store_command("import", arrays, "--store", name, *options, *FORMAT, status=1)
        assert "give one name" in said


def test_what_one_root_exports_another_imports_to_the_byte(tmp_path: Path) -> None:
    folder = tmp_path / "one" / "store" / "video-resnet152"
    write_shard(folder / "00000.h5", [done("a"), failed("b")])
    write_shard(folder / "00004.h5", [done("c")])
    store_command("export", folder, "--to", tmp_path / "out")
    store_command(
        "import", tmp_path / "out", "--store", "video-resnet152", "--root", tmp_path / "two"
    )
    other = tmp_path / "two" / "store" / "video-resnet152"
    assert shard_bytes(other) == shard_bytes(folder)
    store_command("export", folder, "--to", tmp_path / "tars", "--layout", "webdataset")
    said = store_command(
        "import", tmp_path / "tars", "--store", "x", "--root", tmp_path / "two", status=1
    )
    assert "only npy can be imported" in said


def test_repair_names_what_is_to_be_extracted_again(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "video-resnet152"
    path = write_shard(folder / "00042.h5", [done("a"), failed("b"), done("c")])
    write_shard(folder / "00001.h5", [done("sound")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    said = store_command("verify", "--root", tmp_path, status=1)
    assert "jobs/store.py repair" in said
    said = store_command("repair", "--root", tmp_path)
    assert f"REPAIRED {path}\n  2 videos kept, 1 to be extracted again\n    c\n" in said
    with writer(path, ["a", "b", "c"]) as shard:
        shard.append(done("c"))
        assert shard.seal().read_bytes() == whole
    assert "0 shards were broken" in store_command("repair", path)
    assert list(shard_bytes(folder)) == ["00001.h5", "00042.h5"]
    assert "neither" in store_command("repair", folder / "00043.h5", status=1)


def test_repair_goes_on_where_a_shard_cannot_be_repaired(tmp_path: Path) -> None:
    with writer(tmp_path / "00000.h5", ["a", "b", "c"]) as shard:
        for video_id in "abc":
            shard.append(done(video_id))
    (journal,) = tmp_path.glob("*.journal")
    content = bytearray(journal.read_bytes())
    content[content.index(done("b").features.tobytes())] ^= 1
    journal.write_bytes(content)
    with writer(tmp_path / "00001.h5", ["d"]) as shard:
        shard.append(done("d"))
    (other,) = tmp_path.glob("00001.*.journal")
    other.write_bytes(b"x" + other.read_bytes()[1:])
    said = store_command("repair", tmp_path, status=1)
    assert "1 records behind damage kept" in said
    assert f"LEFT ALONE {other}: the header is damaged" in said
    with writer(tmp_path / "00000.h5", ["a", "b", "c"]) as shard:
        assert shard.done == {"a", "c"}


def test_snapshot_writes_down_all_modalities_once(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "store" / "video-resnet152" / "0.h5", [done("a")])
    file = tmp_path / "pinned.json"
    assert "video-resnet152: 1 shards" in store_command("snapshot", file, "--root", tmp_path)
    assert str(read_shard(path).label_crc32c) in file.read_text()
    assert "pinned.json" in store_command("snapshot", file, "--root", tmp_path, status=1)
