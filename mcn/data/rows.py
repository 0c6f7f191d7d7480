"""Rows of a csv by the names of their columns, each with the line that errors speak of."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row as ("<file>, line 7", fields by column), blank lines left out.

    Columns may come in any order and with others between them; where there is a `;` in the first
    line, that is what separates them.

    Raises:
        ValueError: If a column is missing, a row is too short or too long, or it is no text in
            UTF-8; names file and line.
    """
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
            reader = csv.reader(file, delimiter=delimiter)
            for row in reader:
                where = f"{path}, line {reader.line_num + 1}"
                if row and len(row) != len(names):
                    raise ValueError(
                        f"{where}: {len(row)} fields instead of {len(names)}; one that holds "
                        f"a {delimiter} is put in quotes"
                    )
                if row:
                    yield where, dict(zip(names, row, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a csv in UTF-8: {error}") from error
