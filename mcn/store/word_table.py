"""The words that rows of a text store stand for, and a vector for each of them.

A text store has one number a word, and its fingerprint the hash of the file that the vectors came
from. The words of that file, all of them and in its order, lie beside the store:

    store/words/<first 16 digits of the hash>/
        vectors.npy      float16 (words, dim), to be mapped into memory
        vocabulary.txt   one word a line, UTF-8
        table.json       hash of the file they came from, and checksums

So a number means the same in every shard, whoever wrote it and in whatever order. The folder
appears whole, by rename, and never changes.
"""

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float16
from numpy.typing import NDArray

from mcn.store.checksum import crc32c
from mcn.store.fingerprint import Fingerprint
from mcn.store.layout import FEATURE_DTYPE, canonical_json
from mcn.store.rawio import fsync_folder
from mcn.store.record import all_finite

WORDS = "words"
"""Folder of the tables, beside those of the modalities."""
VECTORS, VOCABULARY, ABOUT = "vectors.npy", "vocabulary.txt", "table.json"

_FORMAT = "mcn-words-1"
_HASH_DIGITS = 16
_ROWS_AT_ONCE = 1 << 16
_LEFTOVER_SECONDS = 24 * 3600
"""After which nobody is taken to fill a folder that was begun; it takes minutes."""


@dataclass(frozen=True)
class WordTable:
    """Words by number, with their vectors; opened without reading them."""

    folder: Path
    source_sha256: str
    num_words: int
    dim: int

    @classmethod
    def below(cls, store: Path, fingerprint: Fingerprint) -> "WordTable":
        """The table below `store/` of a text store with this fingerprint.

        Raises:
            ValueError: The store has no numbers of words.
            FileNotFoundError: The table is not there.
        """
        if fingerprint.row_type != "int32":
            raise ValueError(
                f"the text store in {store} ({fingerprint.extractor}) holds vectors of words and "
                "not their numbers, as those made before do: remove it, and "
                "`python jobs/extract.py --modalities text` makes it again"
            )
        return cls.open(table_folder(store, fingerprint.weights_sha256))

    @classmethod
    def open(cls, folder: Path) -> "WordTable":
        """The table in a folder of its own.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It is damaged.
        """
        if not folder.exists():
            raise FileNotFoundError(
                f"{folder} is missing, which has the words of a text store beside it: copy it from "
                "where the store came from, or make the store again by jobs/extract.py"
            )
        try:
            about = json.loads((folder / ABOUT).read_text())
            if about["format"] != _FORMAT:
                raise ValueError(f"its format is {about['format']!r}, not {_FORMAT!r}")
            shape = np.load(folder / VECTORS, mmap_mode="r").shape
            return cls(folder, about["source_sha256"], *shape)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder} is no table of words, or damaged: {error}") from error

    def vectors(self) -> Float16[np.ndarray, "words dim"]:
        """The vectors, mapped: all processes of a machine share their memory; not to be written."""
        # Copy on write, since PyTorch warns of memory that it could not write to.
        mapped: NDArray[np.float16] = np.load(self.folder / VECTORS, mmap_mode="c")
        return mapped

    def vocabulary(self) -> list[str]:
        """The words in the order of their numbers."""
        return (self.folder / VOCABULARY).read_text(encoding="utf-8").split("\n")[:-1]

    def problems(self) -> list[str]:
        """What is wrong with it, a sentence each; reads every byte."""
        about = json.loads((self.folder / ABOUT).read_text())
        found = {VECTORS: _crc32c(self.vectors()), VOCABULARY: _crc32c_of_file(self.folder)}
        return [
            f"{self.folder / name}: does not match its checksum"
            for name, checksum in found.items()
            if checksum != about["crc32c"][name]
        ]

    def checked_vectors(self) -> Float16[np.ndarray, "words dim"]:
        """As `vectors`, after reading all of them once.

        Raises:
            ValueError: They are not as they were written.
        """
        problems = self.problems()
        if problems:
            raise ValueError(f"{problems[0]}; remove {self.folder}, and jobs/extract.py makes it")
        return self.vectors()


def word_tables(store: Path) -> list[Path]:
    """The folders of all tables below `store/`."""
    return sorted(path.parent for path in (store / WORDS).glob(f"*/{ABOUT}"))


def table_problems(folder: Path) -> list[str]:
    """What is wrong with a table, a sentence each; reads every byte, and does not raise."""
    try:
        return WordTable.open(folder).problems()
    except (OSError, ValueError) as error:
        return [str(error)]


def table_folder(store: Path, source_sha256: str) -> Path:
    """Where the table of a file of word vectors is, below `store/`."""
    return store / WORDS / source_sha256[:_HASH_DIGITS]


def write_word_table(
    store: Path,
    vocabulary: Sequence[str],
    vectors: Float[np.ndarray, "words dim"],
    source_sha256: str,
) -> WordTable:
    """The table of a file of word vectors below `store/`, made where it is not there yet.

    Any number of processes may ask at once: they write the same, and the first one to finish stays.

    Raises:
        ValueError: float16 cannot hold a vector, or a word has a line break.
    """
    folder = table_folder(store, source_sha256)
    if not folder.exists():
        aside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        aside.mkdir(parents=True)
        try:
            _fill(aside, vocabulary, vectors, source_sha256)
            _put_in_place(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    _clear_away_leftovers(folder)
    return WordTable.open(folder)


def copy_word_table(table: WordTable, store: Path) -> WordTable:
    """The same table below another `store/`."""
    return write_word_table(store, table.vocabulary(), table.checked_vectors(), table.source_sha256)


def _fill(
    folder: Path,
    vocabulary: Sequence[str],
    vectors: Float[np.ndarray, "words dim"],
    source_sha256: str,
) -> None:
    for word in vocabulary:
        if "\n" in word:
            raise ValueError(f"the word {word!r} has a line break")
    (folder / VOCABULARY).write_text("".join(f"{word}\n" for word in vocabulary), encoding="utf-8")
    rows = np.lib.format.open_memmap(folder / VECTORS, "w+", FEATURE_DTYPE, vectors.shape)
    for first in range(0, len(vectors), _ROWS_AT_ONCE):
        with np.errstate(over="ignore"):
            piece = vectors[first : first + _ROWS_AT_ONCE].astype(FEATURE_DTYPE)
        if not all_finite(piece):
            raise ValueError(f"float16 cannot hold the vectors of words {first} and after")
        rows[first : first + _ROWS_AT_ONCE] = piece
    rows.flush()
    about = {
        "format": _FORMAT,
        "source_sha256": source_sha256,
        "crc32c": {VECTORS: _crc32c(rows), VOCABULARY: _crc32c_of_file(folder)},
    }
    (folder / ABOUT).write_text(canonical_json(about) + "\n")
    for name in (VECTORS, VOCABULARY, ABOUT):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    fsync_folder(folder)


def _put_in_place(aside: Path, folder: Path) -> None:
    with contextlib.suppress(OSError):  # a folder with files is never replaced: another was faster
        aside.rename(folder)
    if not folder.exists():
        aside.rename(folder)
    fsync_folder(folder.parent)


def _clear_away_leftovers(folder: Path) -> None:
    """Removes what killed processes have left of a table that is in place.

    Nothing takes its place any more, so who still fills one loses nothing but the work; what was
    begun within a day is left alone all the same, as its process may be writing to it.
    """
    for aside in folder.parent.glob(f"{folder.name}.*"):
        with contextlib.suppress(FileNotFoundError):  # its process, or another, was faster
            if time.time() - aside.stat().st_mtime > _LEFTOVER_SECONDS:
                shutil.rmtree(aside, ignore_errors=True)


def _crc32c(rows: NDArray[Any]) -> int:
    checksum = 0
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        checksum = crc32c(np.ascontiguousarray(rows[first : first + _ROWS_AT_ONCE]), start=checksum)
    return checksum


def _crc32c_of_file(folder: Path) -> int:
    return crc32c((folder / VOCABULARY).read_bytes())
