"""Word vectors: the published Google News ones, or small ones trained on captions at hand.

A file of vectors is in word2vec's binary format. It becomes a table beside the text store once
(mcn/store/word_table.py); extraction then needs its vocabulary alone. What counts as a word is
decided by `mcn.data.words.tokenize`.
"""

import os
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from mcn.data.words import tokenize
from mcn.store.word_table import WordTable, table_folder, write_word_table

GOOGLE_NEWS = "GoogleNews-vectors-negative300.bin"
TRAINED_DIM = 300
"""As many as the published vectors have."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The number of each word in a file of word vectors."""

    number_of: dict[str, int]
    sha256: str
    """Of the file."""

    @classmethod
    def of(cls, table: WordTable) -> "Vocabulary":
        """That of a table."""
        words = table.vocabulary()
        return cls(dict(zip(words, range(len(words)), strict=True)), table.source_sha256)

    def numbers(self, words: Iterable[str]) -> list[int]:
        """The numbers of those words that are known, in their order.

        A word is looked up as it is written, as the publication does, and else in small letters,
        so that the first word of a sentence is not lost. What is unknown both ways is left out.
        """
        known = self.number_of
        found = (known.get(word, known.get(word.lower())) for word in words)
        return [number for number in found if number is not None]


def word_table(path: Path, store: Path) -> WordTable:
    """The table of a file of word vectors below `store/`, made where it is not there yet.

    Google News takes 3.6 GB of memory while it is made, and 1.8 GB of disk from then on.

    Raises:
        ValueError: If the file is damaged, or of another format.
    """
    with path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    made = table_folder(store, sha256)
    if made.exists():
        return WordTable.open(made)
    from gensim.models import KeyedVectors  # takes a second, and each task finds the table made

    try:
        keyed = KeyedVectors.load_word2vec_format(str(path), binary=True)
    except (EOFError, ValueError) as error:
        raise ValueError(f"{path} is no whole file in word2vec's binary format") from error
    return write_word_table(store, keyed.index_to_key, keyed.vectors, sha256)


def find_word_vectors(path: Path | None, folder: Path) -> Path:
    """The file given, else Google News' in the folder of weights.

    Raises:
        FileNotFoundError: If there is none; says which file to put there.
    """
    found = path or folder / GOOGLE_NEWS
    if not found.exists():
        raise FileNotFoundError(
            f"{found} is missing: put the published vectors there ({GOOGLE_NEWS}, 300 "
            "dimensions, unpacked), or others in word2vec's binary format"
        )
    return found


def train_word2vec(texts: Iterable[str], path: Path, *, seed: int) -> None:
    """Put vectors of all words in `texts`, in small letters, at `path` in word2vec's binary format.

    Skip-gram with negative sampling (Mikolov et al., 2013), set for a corpus of some thousand
    sentences: every word counts, and all are seen many times. Equal texts and seed give equal
    bytes.

    Raises:
        ValueError: If there are no words.
    """
    from gensim.models import Word2Vec  # as above

    sentences = [[word.lower() for word in tokenize(text)] for text in texts]
    if not any(sentences):
        raise ValueError(f"{path}: the {len(sentences)} texts to train on hold no words")
    model = Word2Vec(
        sentences,
        vector_size=TRAINED_DIM,
        sg=1,
        window=5,
        min_count=1,
        sample=0,
        epochs=50,
        seed=seed,
        workers=1,  # with more, their order would decide
        hashfxn=_hash,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    model.wv.save_word2vec_format(str(aside), binary=True)
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def _hash(word: str) -> int:
    """Python's own hash of a text differs from process to process."""
    return zlib.crc32(word.encode())
