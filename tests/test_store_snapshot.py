import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcn.data.stores import Features, open_stores
from mcn.root import REPOSITORY
from mcn.store.reader import FeatureStore
from mcn.store.snapshot import Snapshot
from mcn.store.upkeep.merge import merge_store
from tests.shards import TEXT, done, write_shard
from tests.stores import write_stores


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_shard(tmp_path / "video" / "00000.h5", [done("a"), done("b")])
    write_shard(tmp_path / "video" / "00001.h5", [done("c")])
    return tmp_path / "video"


def test_a_pinned_reader_does_not_see_what_was_sealed_later(tmp_path: Path, store: Path) -> None:
    Snapshot.take([store]).write(tmp_path / "pinned.json")
    write_shard(store / "00002.h5", [done("late")])
    snapshot = Snapshot.read(tmp_path / "pinned.json")
    assert FeatureStore(store, pinned=snapshot.labels(store)).video_ids == ["a", "b", "c"]
    assert FeatureStore(store).video_ids == ["a", "b", "c", "late"]


def test_a_shard_that_was_made_again_to_the_byte_is_the_same(store: Path) -> None:
    snapshot = Snapshot.take([store])
    (store / "00001.h5").unlink()
    write_shard(store / "00001.h5", [done("c")])
    assert len(FeatureStore(store, pinned=snapshot.labels(store))) == 3


def test_a_pinned_reader_refuses_a_shard_that_has_changed_or_is_gone(store: Path) -> None:
    labels = Snapshot.take([store]).labels(store)
    (store / "00001.h5").unlink()
    with pytest.raises(ValueError, match=r"00001.h5 was in the snapshot and is gone"):
        FeatureStore(store, pinned=labels)
    write_shard(store / "00001.h5", [done("c", num_rows=9)])
    with pytest.raises(ValueError, match=r"00001.h5 is not the shard that was in the snapshot"):
        FeatureStore(store, pinned=labels)
    content = bytearray((store / "00001.h5").read_bytes())
    content[600] ^= 1
    (store / "00001.h5").write_bytes(content)
    with pytest.raises(ValueError, match=r"00001.h5 cannot be read"):
        FeatureStore(store, pinned=labels)


def test_a_merge_is_noticed(store: Path) -> None:
    labels = Snapshot.take([store]).labels(store)
    merge_store(store, videos_per_shard=9, is_shown=False)
    with pytest.raises(ValueError, match="is gone"):
        FeatureStore(store, pinned=labels)


def test_an_empty_snapshot_is_not_taken_for_no_snapshot(tmp_path: Path, store: Path) -> None:
    (tmp_path / "empty").mkdir()
    labels = Snapshot.take([tmp_path / "empty"]).labels(tmp_path / "empty")
    shutil.copy(store / "00000.h5", tmp_path / "empty" / "00000.h5")
    with pytest.raises(FileNotFoundError, match="no shards"):
        FeatureStore(tmp_path / "empty", pinned=labels)


def test_a_snapshot_is_never_written_over(tmp_path: Path, store: Path) -> None:
    Snapshot.take([store]).write(tmp_path / "pinned.json")
    before = (tmp_path / "pinned.json").read_bytes()
    write_shard(store / "00002.h5", [done("late")])
    with pytest.raises(FileExistsError):
        Snapshot.take([store]).write(tmp_path / "pinned.json")
    assert (tmp_path / "pinned.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pinned.json", "video"]


def test_all_who_begin_at_once_keep_one_snapshot_while_shards_are_sealed(
    tmp_path: Path, store: Path
) -> None:
    found: list[str] = []
    start = threading.Barrier(9)

    def ask() -> None:
        start.wait()
        found.append(Snapshot.take([store]).keep(tmp_path / "pinned.json").digest())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    start.wait()
    for number in range(2, 6):
        write_shard(store / f"{number:05d}.h5", [done(f"late {number}")])
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_what_is_no_snapshot_is_named(tmp_path: Path) -> None:
    for content in ("", "{}", "[]", '{"format": "other"}'):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(ValueError, match=r"x.json is no snapshot"):
            Snapshot.read(tmp_path / "x.json")


def test_all_modalities_are_pinned_together(tmp_path: Path, store: Path) -> None:
    shutil.copytree(store, tmp_path / "audio")
    write_shard(tmp_path / "text" / "0.h5", [done("a", with_spans=True)], fingerprint=TEXT)
    features = Features(video="video", audio="audio", text="text")
    folders = [tmp_path / name for name in ("video", "audio", "text")]
    snapshot = Snapshot.take(folders)
    write_shard(tmp_path / "audio" / "00009.h5", [done("late")])
    stores = open_stores(tmp_path, features, snapshot)
    assert [len(stores[name]) for name in ("video", "audio", "text")] == [3, 3, 1]
    with pytest.raises(ValueError, match="knows nothing of"):
        open_stores(tmp_path, Features(video="video", audio="other", text="text"), snapshot)


def train(root: Path, run: str, *options: object) -> str:
    sizes = "--stage AVT --batch-size 8 --clips-per-video 4 --stage1-epochs 2 --stage2-epochs 0"
    widths = "--embedding-dim 32 --reconstruction-dim 16 --min-clip-seconds 2 --clusters 6"
    command = [sys.executable, REPOSITORY / "jobs" / "train.py", "--root", root, "--run", run]
    where = "--queue-size 64 --refit-every-steps 5 --device cpu --cluster debug"
    words = [*command, *sizes.split(), *widths.split(), *where.split(), *options]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.slow
def test_a_run_on_a_snapshot_is_that_on_the_store_as_it_was(tmp_path: Path) -> None:
    write_stores(tmp_path / "store")
    assert not train(tmp_path, "before")
    final = [*(tmp_path / "runs" / "before").rglob("*.safetensors")]
    write_stores(tmp_path / "later", seed=1)
    for path in (tmp_path / "later").glob("*/00000.h5"):
        path.rename(tmp_path / "store" / path.parent.name / "00001.h5")
    snapshot = tmp_path / "runs" / "before" / "snapshot.json"
    assert not train(tmp_path, "pinned", "--snapshot", snapshot)
    assert not train(tmp_path, "grown")
    assert final
    for path in final:
        name = path.relative_to(tmp_path / "runs" / "before")
        assert (tmp_path / "runs" / "pinned" / name).read_bytes() == path.read_bytes()
        assert (tmp_path / "runs" / "grown" / name).read_bytes() != path.read_bytes()
    (tmp_path / "runs" / "grown" / "config.yaml").unlink()
    for path in (tmp_path / "runs" / "grown").rglob("*.safetensors"):
        path.unlink()
    assert "another snapshot" in train(tmp_path, "grown", "--snapshot", snapshot)


def test_a_run_that_could_not_begin_keeps_no_snapshot(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert "no shards" in train(tmp_path, "early")
    assert not (tmp_path / "runs" / "early" / "snapshot.json").exists()
