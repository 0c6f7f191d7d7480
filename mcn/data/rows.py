"""Rows of a csv by the names of their columns, each with the line that errors speak of."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _csv import Reader

ROWS_AT_ONCE = 256
"""Of more, Python would look for cycles among them."""


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row as ("<file>, line 7", these fields by column), blank lines left out.

    Columns may come in any order and with others between them; where there is a `;` in the first
    line, that is what separates them.

    Raises:
        ValueError: If a column is missing, a row is too short or too long, or it is no text in
            UTF-8; names file and line.
    """
    for line, fields in read_fields(path, columns):
        yield at_line(path, line), dict(zip(columns, fields, strict=True))


def at_line(path: Path | str, line: int) -> str:
    """A line, as errors speak of it."""
    return f"{path}, line {line}"


def read_fields(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """As `read_rows`, three times as fast: the number of each line, and its fields in order."""
    with _opened(path, columns) as (reader, names):
        places = [names.index(name) for name in columns]
        pick = itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)
        for row in reader:
            if row and len(row) != len(names):
                raise ValueError(
                    f"{at_line(path, reader.line_num + 1)}: {len(row)} fields instead of "
                    f"{len(names)}; one that holds a {reader.dialect.delimiter} is put in quotes"
                )
            if row:
                yield reader.line_num + 1, pick(row)


def read_by_column(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The fields of each column, as `read_fields` has them, in half of its time."""
    parts: list[list[tuple[str, ...]]] = [[] for _ in columns]
    with _opened(path, columns) as (reader, names):
        while rows := list(islice(reader, ROWS_AT_ONCE)):
            if not {len(row) for row in rows} <= {0, len(names)}:
                break
            fields = list(zip(*filter(None, rows), strict=True))
            if fields:  # else all lines are blank
                for part, name in zip(parts, columns, strict=True):
                    part.append(fields[names.index(name)])
        else:
            return [tuple(chain.from_iterable(part)) for part in parts]
    by_line = (fields for _, fields in read_fields(path, columns))  # says which is malformed
    return list(zip(*by_line, strict=True)) or [()] * len(columns)


@contextmanager
def _opened(path: Path, columns: Sequence[str]) -> "Iterator[tuple[Reader, list[str]]]":
    """A csv behind its first line, and the names of all columns, those asked for among them."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front.
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            delimiter = ";" if ";" in header else ","
            names = next(csv.reader([header], delimiter=delimiter), [])
            missing = [name for name in columns if name not in names]
            if missing:
                raise ValueError(
                    f"{path} has no column {', '.join(missing)}; its first line is {header!r}"
                )
            yield csv.reader(file, delimiter=delimiter), names
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a csv in UTF-8: {error}") from error
