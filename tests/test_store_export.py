import json
import tarfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcn.store.exchange.exported import ExportFolder, Layout, import_exported_shard
from mcn.store.exchange.exporting import export_store
from mcn.store.fingerprint import Fingerprint
from mcn.store.reader import FeatureStore
from tests.shards import DIM, TEXT, VIDEO, done, failed, write_shard
from tests.store_exchange import contents, killed_at_random

ODD_IDS = ["-a", "b c", "d.e", "f/g", "..", "é", "h'\"$(x)"]


def reimported(export: Path, store: Path) -> None:
    found = ExportFolder.read(export)
    assert found is not None
    for shard in found.shards():
        import_exported_shard(store / f"{shard.stem}.h5", found, shard)


def small_store(folder: Path, fingerprint: Fingerprint = VIDEO) -> Path:
    text = fingerprint is TEXT
    odd = [done(video_id, num_rows=4, with_spans=text) for video_id in ODD_IDS]
    records = [done("a", with_spans=text), failed("b", "truncated"), *odd]
    write_shard(folder / "00000.h5", records, fingerprint=fingerprint)
    last = failed("z") if text else done("z", num_rows=0)
    write_shard(folder / "00007.h5", [last], fingerprint=fingerprint, provenance={"device": "cuda"})
    return folder


def rows(*, num_rows: int = 5, dtype: str = "f2", dim: int = DIM) -> Any:
    return np.random.default_rng(num_rows).normal(size=(num_rows, dim)).astype(dtype)


@pytest.mark.parametrize("fingerprint", [VIDEO, TEXT], ids=["video", "text"])
def test_what_was_exported_comes_back_to_the_byte(tmp_path: Path, fingerprint: Fingerprint) -> None:
    store = small_store(tmp_path / "store", fingerprint)
    export_store(store, tmp_path / "out", "npy", is_shown=False)
    reimported(tmp_path / "out", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(store)


def test_an_exported_video_is_one_npy_in_the_published_layout(tmp_path: Path) -> None:
    store = FeatureStore(small_store(tmp_path / "store"))
    export_store(store.folder, tmp_path / "out", "npy", is_shown=False)
    assert len(list(tmp_path.joinpath("out").glob("*.npy"))) == len(store)
    found = np.load(tmp_path / "out" / "a.npy")
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, store.read("a"))
    assert not (tmp_path / "out" / "b.npy").exists()


def test_a_file_that_was_changed_after_the_export_is_not_taken_for_what_it_was(
    tmp_path: Path,
) -> None:
    export_store(small_store(tmp_path / "store"), tmp_path / "out", "npy", is_shown=False)
    np.save(tmp_path / "out" / "a.npy", rows())
    (tmp_path / "out" / "-a.npy").unlink()
    reimported(tmp_path / "out", tmp_path / "back")
    reasons = dict(FeatureStore(tmp_path / "back").failures())
    assert reasons == {"a": "changed-since-export", "-a": "missing", "b": "truncated"}


def test_webdataset_finds_each_video_as_one_sample(tmp_path: Path) -> None:
    store = FeatureStore(small_store(tmp_path / "store"))
    export_store(store.folder, tmp_path / "out", "webdataset", is_shown=False)
    samples: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    order = []
    with tarfile.open(tmp_path / "out" / "00000.tar") as archive:
        for member in archive:
            # WebDataset's rule: the key ends at the first dot of the name, the rest says what it is
            folder, _, name = member.name.rpartition("/")
            key, _, extension = name.partition(".")
            assert not folder
            content = archive.extractfile(member)
            assert content is not None
            samples[key][extension] = content.read()
            order.append(key)
    runs = [key for at, key in enumerate(order) if not at or order[at - 1] != key]
    assert len(runs) == len(samples) == len(ODD_IDS) + 1  # members of a sample lie together
    for sample in samples.values():
        assert set(sample) == {"npy", "json"}
        about = json.loads(sample["json"])
        (tmp_path / "one.npy").write_bytes(sample["npy"])
        np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), store.read(about["video_id"]))
        assert about["rows_per_second"] == 1.0


@pytest.mark.parametrize("layout", ["npy", "webdataset"])
def test_no_id_leads_out_of_the_folder_of_an_export(tmp_path: Path, layout: Layout) -> None:
    write_shard(tmp_path / "store" / "0.h5", [done("../../x"), done("/tmp/mcn-x"), done("..")])
    export_store(tmp_path / "store", tmp_path / "a" / "b" / "out", layout, is_shown=False)
    assert {path.parts[0] for path in map(Path, contents(tmp_path))} == {"store", "a"}
    assert set(contents(tmp_path / "a")) == {f"b/{name}" for name in contents(tmp_path / "a" / "b")}
    if layout == "webdataset":
        with tarfile.open(tmp_path / "a" / "b" / "out" / "0.tar") as archive:
            assert not any("/" in name or name.startswith(".") for name in archive.getnames())


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out" / "a.npy", rows())
    with pytest.raises(ValueError, match="holds other files"):
        export_store(store, tmp_path / "out", "npy", is_shown=False)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "a.npy"), rows())
    small_store(tmp_path / "text", TEXT)
    export_store(store, tmp_path / "other", "npy", is_shown=False)
    with pytest.raises(ValueError, match="other features"):
        export_store(tmp_path / "text", tmp_path / "other", "npy", is_shown=False)


def test_damaged_features_are_not_exported(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "store" / "00000.h5", [done("a"), done("c")])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="'c' is not as it was written"):
        export_store(path.parent, tmp_path / "out", "npy", is_shown=False)
    assert not list(tmp_path.joinpath("out").glob("*.jsonl"))


def test_an_export_follows_the_store_and_leaves_alone_what_has_not_changed(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    export_store(store, tmp_path / "out", "webdataset", is_shown=False)
    before = (tmp_path / "out" / "00000.tar").stat().st_mtime_ns
    (store / "00007.h5").unlink()
    write_shard(store / "00008.h5", [done("new")])
    export_store(store, tmp_path / "out", "webdataset", is_shown=False)
    tars = sorted(path.name for path in tmp_path.joinpath("out").glob("*.tar"))
    assert tars == ["00000.tar", "00008.tar"]
    assert (tmp_path / "out" / "00000.tar").stat().st_mtime_ns == before
    (store / "00000.h5").unlink()
    write_shard(store / "00000.h5", [done("a", num_rows=9)])
    export_store(store, tmp_path / "out", "webdataset", is_shown=False)
    with tarfile.open(tmp_path / "out" / "00000.tar") as archive:
        assert archive.getnames() == ["a.npy", "a.json"]


@pytest.mark.parametrize("layout", ["npy", "webdataset"])
def test_a_killed_export_carries_on_to_the_same_bytes(tmp_path: Path, layout: Layout) -> None:
    for number in range(4):
        ids = [f"{number}-{video}" for video in range(30)]
        records = [done(video_id, num_rows=200) for video_id in ids]
        write_shard(tmp_path / "store" / f"{number:05d}.h5", records)
    started = time.monotonic()
    export_store(tmp_path / "store", tmp_path / "undisturbed", layout, is_shown=False)
    duration = time.monotonic() - started
    killed = tmp_path / "killed"
    command = ["export", str(tmp_path / "store"), str(killed), layout]
    killed_at_random(command, 5, 0.5 * duration)
    export_store(tmp_path / "store", killed, layout, is_shown=False)
    assert contents(killed) == contents(tmp_path / "undisturbed")
