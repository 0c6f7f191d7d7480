"""Lines of a text file, each with the place that errors speak of."""

from collections.abc import Iterator
from pathlib import Path

from mcn.data.rows import at_line


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line as ("<file>, line 7", the line without space around it), blank ones left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield at_line(path, number), line.strip()
