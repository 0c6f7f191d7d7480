import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from extractors.text import caption_features
from extractors.words import Vocabulary, find_word_vectors, train_word2vec, word_table
from mcn.data.captions import Captions
from mcn.data.words import tokenize
from mcn.root import REPOSITORY
from mcn.store.record import SPAN
from mcn.store.word_table import WordTable

TEXTS = ["Chop the red onion", "now fry the onion", "don't burn it", "caf\u00e9"] * 3


def write_binary(path: Path, vectors: dict[str, list[float]]) -> Path:
    """word2vec's binary format, from its description."""
    dim = len(next(iter(vectors.values())))
    body = b"".join(
        word.encode() + b" " + np.array(vector, "<f4").tobytes() + b"\n"
        for word, vector in vectors.items()
    )
    path.write_bytes(f"{len(vectors)} {dim}\n".encode() + body)
    return path


@pytest.fixture
def table(tmp_path: Path) -> WordTable:
    vectors = {"chop": [1.0, 0.5], "May": [2.0, 0.0], "may": [3.0, 0.0], "the": [4.0, 0.1]}
    return word_table(write_binary(tmp_path / "vectors.bin", vectors), tmp_path / "store")


@pytest.fixture
def words(table: WordTable) -> Vocabulary:
    return Vocabulary.of(table)


def test_words_are_runs_of_letters_digits_and_apostrophes() -> None:
    assert tokenize("Don't stir -- it's 2.5 caf\u00e9_au-lait!") == [
        "Don't",
        "stir",
        "it's",
        "2",
        "5",
        "caf\u00e9_au",
        "lait",
    ]
    assert tokenize("") == tokenize("... ?") == []


def test_a_word_is_found_as_written_else_in_small_letters_else_not(
    table: WordTable, words: Vocabulary
) -> None:
    found = words.numbers(["May", "may", "MAY", "Chop", "peel"])
    assert table.vectors()[found, 0].tolist() == [2.0, 3.0, 3.0, 1.0]
    assert table.dim == 2


def test_every_caption_has_a_span_and_every_known_word_a_row(
    table: WordTable, words: Vocabulary
) -> None:
    captions = Captions([0.5, 2.0, 3.0], [1.5, 3.0, 9.0], ["Chop the onion", "", "may the"])
    features, spans = caption_features(captions, words)
    assert features.dtype == np.int32 and features.shape == (4, 1)
    np.testing.assert_array_equal(
        table.vectors()[features[:, 0]],
        np.array([[1, 0.5], [4, 0.1], [3, 0], [4, 0.1]], np.float16),
    )
    assert spans.dtype == SPAN
    assert spans.tolist() == [(0.5, 1.5, 2), (2.0, 3.0, 0), (3.0, 9.0, 2)]


@pytest.mark.parametrize("texts", [[], ["", "unknown"]])
def test_captions_without_known_words_have_no_rows(words: Vocabulary, texts: list[str]) -> None:
    times = [float(k) for k in range(len(texts))]
    features, spans = caption_features(Captions(times, times, texts), words)
    assert features.shape == (0, 1)
    assert spans["num_rows"].tolist() == [0] * len(texts)


def test_missing_vectors_are_asked_for_by_their_name(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"w\.bin is missing.*GoogleNews-vectors-negative300"
    ):
        find_word_vectors(tmp_path / "w.bin", tmp_path)


@pytest.mark.parametrize("size", [0, 3, 9, 40])
def test_damaged_vectors_are_refused(tmp_path: Path, size: int) -> None:
    path = write_binary(tmp_path / "w.bin", {"chop": [1.0] * 300})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"w\.bin is no whole file"):
        word_table(path, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_other_vectors_have_another_hash_and_a_table_of_their_own(tmp_path: Path) -> None:
    tables = [
        word_table(write_binary(tmp_path / "w.bin", {"chop": [x]}), tmp_path / "store")
        for x in (1.0, 2.0, 1.0)
    ]
    assert tables[0] == tables[2] != tables[1]
    assert tables[0].folder != tables[1].folder
    assert [table.vectors().item() for table in tables] == [1.0, 2.0, 1.0]


def test_trained_vectors_know_every_word_of_the_texts(tmp_path: Path) -> None:
    path = tmp_path / "weights" / "words.bin"
    train_word2vec(TEXTS, path, seed=0)
    table = word_table(path, tmp_path / "store")
    assert set(table.vocabulary()) == {word.lower() for text in TEXTS for word in tokenize(text)}
    assert table.vectors().shape == (10, 300)
    assert np.isfinite(table.vectors()).all()
    assert list(path.parent.iterdir()) == [path]


def test_trained_vectors_tell_words_by_their_company(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    groups = [["chop", "slice", "dice"], ["boil", "simmer", "stew"]]
    company = [["board", "knife", "thin"], ["pot", "water", "hot"]]
    texts = []
    for kind in generator.integers(0, 2, 200):
        verb = str(generator.choice(groups[kind]))
        texts.append(" ".join([verb, *generator.permutation(company[kind])]))
    train_word2vec(texts, tmp_path / "words.bin", seed=0)
    table = word_table(tmp_path / "words.bin", tmp_path / "store")
    words, vectors = Vocabulary.of(table), table.vectors().astype(np.float32)

    def cosine(one: str, other: str) -> float:
        a, b = vectors[words.numbers([one, other])]
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine("chop", "slice") > cosine("chop", "boil") + 0.2


def test_training_depends_on_the_seed_and_not_on_the_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from extractors.words import train_word2vec\n"
        f"train_word2vec({TEXTS!r}, Path(sys.argv[1]), seed=int(sys.argv[2]))"
    )
    files = []
    for hash_seed, seed in (("1", "7"), ("2", "7"), ("2", "8")):
        path = tmp_path / f"{hash_seed}-{seed}.bin"
        subprocess.run(
            [sys.executable, "-c", code, str(path), seed],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            cwd=REPOSITORY,
            check=True,
        )
        files.append(path.read_bytes())
    assert files[0] == files[1] != files[2]


def test_texts_without_words_train_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the 2 texts to train on hold no words"):
        train_word2vec(["", "..."], tmp_path / "words.bin", seed=0)
    assert not (tmp_path / "words.bin").exists()


def test_a_task_of_captions_imports_neither_torch_nor_gensim() -> None:
    check = "import sys, jobs.extract_task; print({'torch', 'gensim'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", check]) == b"set()\n"
