"""What counts as a word, for everybody: extraction of word vectors and windows of captions."""

import re

WORD = re.compile(r"[\w']+")


def tokenize(text: str) -> list[str]:
    """The words of a text in reading order: runs of letters, digits, _ and ' (as published)."""
    return WORD.findall(text)
