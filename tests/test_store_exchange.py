import os
import random
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcn.progress import Progress
from mcn.store.exchange.array_file import MOST_BYTES
from mcn.store.exchange.array_folder import find_arrays
from mcn.store.exchange.importing import ArrayFormat, import_shard
from mcn.store.fingerprint import Fingerprint
from mcn.store.reader import FeatureStore
from mcn.store.verify import verify_shard
from tests.shards import DIM
from tests.store_exchange import contents, killed_at_random

FORMAT = ArrayFormat(extractor="resnet152", dim=DIM, rows_per_second=1.5)


def quiet() -> Progress:
    return Progress("test", total=9, unit="videos", is_shown=False)


def imported(
    folder: Path, shard: Path, *, suffix: str = "", array_format: ArrayFormat = FORMAT
) -> FeatureStore:
    arrays = find_arrays(folder, suffix)
    with quiet() as progress:
        import_shard(shard, list(arrays.files), arrays, array_format, progress=progress)
    assert verify_shard(shard) == []
    return FeatureStore(shard.parent)


def rows(*, num_rows: int = 5, dtype: str = "f2", dim: int = DIM) -> Any:
    return np.random.default_rng(num_rows).normal(size=(num_rows, dim)).astype(dtype)


def test_published_files_are_imported_at_any_depth_with_their_suffix(tmp_path: Path) -> None:
    folder = tmp_path / "food_and_entertaining" / "video_j"
    folder.mkdir(parents=True)
    np.save(folder / "jEyaTUyJ-rs_2d.npy", rows())
    np.save(folder / "jEyaTUyJ-rs_3d.npy", rows(num_rows=8))
    np.savez_compressed(folder / "-_x_2d.npz", features=rows(num_rows=3, dtype=">f4"))
    store = imported(tmp_path, tmp_path / "store" / "00000.h5", suffix="_2d")
    assert sorted(store.video_ids) == ["-_x", "jEyaTUyJ-rs"]
    np.testing.assert_array_equal(store.read("jEyaTUyJ-rs"), rows())
    np.testing.assert_array_equal(store.read("-_x"), rows(num_rows=3).astype("f4").astype("f2"))


def test_log_mel_of_dim_by_frames_is_turned_over(tmp_path: Path) -> None:
    np.savez(tmp_path / "a_spec.npz", rows(num_rows=9).T)
    array_format = ArrayFormat(
        extractor="log-mel", dim=DIM, rows_per_second=100, key="arr_0", is_transposed=True
    )
    store = imported(
        tmp_path, tmp_path / "store" / "0.h5", suffix="_spec", array_format=array_format
    )
    np.testing.assert_array_equal(store.read("a"), rows(num_rows=9))


def test_an_imported_shard_says_that_it_was_imported_and_that_nobody_knows_the_weights(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "a.npy", rows())
    store = imported(tmp_path, tmp_path / "store" / "0.h5")
    assert store.fingerprint == Fingerprint(
        "resnet152", "unknown", DIM, 1.5, {"origin": "imported"}
    )


def test_a_suffix_that_is_forgotten_does_not_become_part_of_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "a_2d.npy", rows())
    with pytest.raises(ValueError, match="--suffix _2d"):
        find_arrays(tmp_path)
    with pytest.raises(ValueError, match=r"_3d.npy"):
        find_arrays(tmp_path, "_3d")


def bad_files(folder: Path) -> dict[str, str]:
    """Makes a file of each kind; returns the reason expected for each id."""
    whole = rows(num_rows=50)
    np.save(folder / "good.npy", whole)
    text = (folder / "good.npy").read_bytes()
    broken = whole.copy()
    broken[7, 2] = np.nan
    arrays: dict[str, Any] = {
        "not-finite": broken,
        "not-finite 16": np.full((2, DIM), 70000, "f4"),
        "other-dim": rows(dim=DIM + 1),
        "wrong-shape": rows()[0],
        "wrong-dtype": rows().astype("i4"),
        "no-rows": rows(num_rows=0),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "object-array.npy", np.array([Trap()], object), allow_pickle=True)
    np.savez(folder / "object-array z.npz", np.array([Trap()], object), allow_pickle=True)
    np.savez(folder / "several-arrays.npz", rows(), rows())
    huge = text[:10] + text[10:128].replace(b"(50, ", b"(%d, " % MOST_BYTES).ljust(118)[:118]
    files = {
        "empty-file": b"",
        "damaged cut": text[:-1],
        "damaged head": text[:20],
        "damaged tail": text + b"\0",
        "damaged version": text[:6] + b"\7" + text[7:],
        "damaged text": b"<html>404</html>",
        "too-large": huge,
    }
    for name, content in files.items():
        (folder / f"{name}.npy").write_bytes(content)
    np.savez_compressed(folder / "damaged zip.npz", whole)
    squeezed = bytearray((folder / "damaged zip.npz").read_bytes())
    squeezed[len(squeezed) // 2] ^= 0xFF
    (folder / "damaged zip.npz").write_bytes(squeezed)
    (folder / "two-files.npy").write_bytes(text)
    (folder / "sub").mkdir()
    (folder / "sub" / "two-files.npy").write_bytes(text)
    os.mkfifo(folder / "no-regular-file.npy")
    (folder / "no-regular-file b.npy").symlink_to(folder / "nothing")
    outside = folder.parent / "outside.npy"
    outside.write_bytes(text)
    (folder / "link-out-of-folder.npy").symlink_to(outside)
    found = find_arrays(folder).files
    return {video_id: video_id.split(" ")[0] for video_id in found if video_id != "good"}


class Trap:
    """Whoever unpickles it fails the test."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (13,)


def test_each_kind_of_bad_file_is_a_failure_with_its_reason_and_costs_no_other(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    expected = bad_files(folder)
    store = imported(folder, tmp_path / "store" / "00000.h5")
    assert dict(store.failures()) == expected
    assert len(expected) >= 20
    assert store.video_ids == ["good"]
    np.testing.assert_array_equal(store.read("good"), rows(num_rows=50))


def test_random_damage_to_a_zip_ends_in_a_reason_or_in_its_true_rows(tmp_path: Path) -> None:
    generator = random.Random(0)
    whole = rows(num_rows=50)
    np.savez_compressed(tmp_path / "whole.npz", features=whole)
    good = (tmp_path / "whole.npz").read_bytes()
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number in range(200):
        content = bytearray(good)
        for _ in range(generator.choice([1, 1, 4])):
            content[generator.randrange(len(content))] = generator.randrange(256)
        (folder / f"{number}.npz").write_bytes(content)
    store = imported(folder, tmp_path / "store" / "00000.h5")
    assert len(store.failures()) > 100
    for video_id in store.video_ids:
        np.testing.assert_array_equal(store.read(video_id), whole)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = np.lib.format.header_data_from_array_1_0(rows()) | {"shape": (3 << 30, DIM)}
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("features.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(1 << 20))
    np.save(tmp_path / "good.npy", rows())
    store = imported(tmp_path, tmp_path / "store" / "00000.h5")
    assert store.failures() == [("bomb", "too-large")]


def test_a_second_import_has_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    bad_files(folder)
    for name in ("one", "two"):
        imported(folder, tmp_path / name / "00000.h5")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_killed_import_carries_on_to_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number in range(150):
        np.save(folder / f"{number}.npy", rows(num_rows=200 + number))
    started = time.monotonic()
    imported(folder, tmp_path / "undisturbed" / "00000.h5")
    duration = time.monotonic() - started
    killed = tmp_path / "killed" / "00000.h5"
    killed_at_random(["import", str(folder), str(killed)], 5, 0.4 * duration)
    imported(folder, killed)
    assert contents(killed.parent) == contents(tmp_path / "undisturbed")
