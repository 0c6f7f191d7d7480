import dataclasses
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from jobs.store import Shards, verify
from jobs.store_import import Import, import_features
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.store.exchange.exporting import export_store
from mcn.store.fingerprint import Fingerprint
from mcn.store.reader import FeatureStore
from mcn.store.shard import open_shard
from mcn.store.word_table import VECTORS, VOCABULARY, WordTable, write_word_table
from tests.shards import TEXT
from tests.stores import FEATURES, write_stores
from tests.test_training_batches import SAMPLING

WORDS = ["caf\u00e9", "chop", "\u2028", "New_York"]
SHA256 = "ab" * 32


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)


def test_a_table_has_every_word_and_its_vector_in_half_precision(
    tmp_path: Path, vectors: np.ndarray
) -> None:
    table = write_word_table(tmp_path, WORDS, vectors, SHA256)
    assert table == WordTable.open(table.folder)
    assert (table.num_words, table.dim, table.source_sha256) == (4, 5, SHA256)
    assert table.vocabulary() == WORDS
    np.testing.assert_array_equal(table.checked_vectors(), vectors.astype(np.float16))


def test_many_who_ask_at_once_get_one_table(tmp_path: Path, vectors: np.ndarray) -> None:
    ask = partial(write_word_table, tmp_path, WORDS, vectors, SHA256)
    with ThreadPoolExecutor(8) as pool:
        tables = [future.result() for future in [pool.submit(ask) for _ in range(24)]]
    assert len({table.folder for table in tables}) == 1
    assert list((tmp_path / "words").iterdir()) == [tables[0].folder]
    assert not tables[0].problems()


def test_a_table_that_cannot_be_made_leaves_nothing(tmp_path: Path, vectors: np.ndarray) -> None:
    vectors[2, 1] = 1e6
    with pytest.raises(ValueError, match="float16 cannot hold"):
        write_word_table(tmp_path, WORDS, vectors, SHA256)
    with pytest.raises(ValueError, match="'a\\\\nb' has a line break"):
        write_word_table(tmp_path, ["a\nb"], vectors[:1], SHA256)
    assert not list((tmp_path / "words").iterdir())


def test_what_killed_processes_left_of_a_table_goes_when_nobody_can_be_writing_to_it(
    tmp_path: Path, vectors: np.ndarray
) -> None:
    words = tmp_path / "words"
    for _ in range(2):  # where the table is made, and where it is there
        old, of_another = (words / f"{digits * 8}.killed" for digits in ("ab", "cd"))
        fresh = words / f"{'ab' * 8}.under way"
        for aside in (old, of_another, fresh):
            aside.mkdir(parents=True, exist_ok=True)
            (aside / VECTORS).write_bytes(b"begun")
        for aside in (old, of_another):
            os.utime(aside, (time.time() - 2 * 24 * 3600,) * 2)
        table = write_word_table(tmp_path, WORDS, vectors, SHA256)
        assert set(words.iterdir()) == {table.folder, of_another, fresh}


@pytest.mark.parametrize("name", [VECTORS, VOCABULARY])
def test_a_flipped_bit_is_found(
    tmp_path: Path, vectors: np.ndarray, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stores(tmp_path / "store", num_videos=2)
    path = WordTable.below(tmp_path / "store", text_store(tmp_path).fingerprint).folder / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: does not match its checksum; remove"):
        assert len(ClipReader(open_stores(tmp_path / "store", FEATURES)).word_vectors)
    with pytest.raises(SystemExit):
        verify(Shards(root=tmp_path))
    assert f"{name}: does not match its checksum" in capsys.readouterr().out


def text_store(root: Path) -> FeatureStore:
    return FeatureStore(root / "store" / FEATURES.text)


def test_a_number_that_is_no_word_is_an_error(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_stores(store, num_videos=2)
    folder = WordTable.below(store, text_store(tmp_path).fingerprint).folder
    np.save(folder / VECTORS, np.load(folder / VECTORS)[:5])
    with pytest.raises(ValueError, match=r"has words that are not in .*words"):
        TrainingBatches(ClipReader(open_stores(store, FEATURES)), SAMPLING)[0]


def test_stores_of_vectors_of_words_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--modalities text` makes it again"):
        WordTable.below(tmp_path, TEXT)


def test_a_missing_table_is_asked_for(tmp_path: Path) -> None:
    numbers = dataclasses.replace(TEXT, row_type="int32")
    with pytest.raises(FileNotFoundError, match="copy it from where the store came from"):
        WordTable.below(tmp_path, numbers)


def test_an_exported_text_store_comes_back_with_its_words(tmp_path: Path) -> None:
    root = tmp_path / "there"
    write_stores(tmp_path / "store", num_videos=3)
    export_store(tmp_path / "store" / FEATURES.text, tmp_path / "out", "npy", is_shown=False)
    import_features(Import(folder=tmp_path / "out", store=FEATURES.text, root=root))
    came, was = text_store(root), text_store(tmp_path)
    assert came.folder != was.folder
    shards = [open_shard(store.folder / "00000.h5") for store in (came, was)]
    assert shards[0].path.read_bytes() == shards[1].path.read_bytes()
    table = WordTable.below(root / "store", came.fingerprint)
    np.testing.assert_array_equal(
        table.vectors(), WordTable.below(tmp_path / "store", was.fingerprint).vectors()
    )
    assert came.read("video0-001").dtype == np.int32


def test_fingerprints_of_before_have_the_digest_that_they_had() -> None:
    assert "row_type" not in json.loads(TEXT.to_json())
    numbers = dataclasses.replace(TEXT, row_type="int32")
    assert Fingerprint.from_json(numbers.to_json()) == numbers
    assert numbers.digest() != TEXT.digest()
