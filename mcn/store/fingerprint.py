"""What made the features of a shard; features with different fingerprints must not be mixed.

Only what changes the meaning of a row belongs here. The machine, the batch shape or the number of
threads are provenance: recorded with every video, free to differ.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from mcn.store.layout import ROW_DTYPES, RowType, canonical_json


@dataclass(frozen=True)
class Fingerprint:
    """The identity of an extractor with its weights and its recipe."""

    extractor: str
    """Name of the extractor, such as `resnet152`."""
    weights_sha256: str
    """SHA-256 of the file of weights."""
    dim: int
    """Width of a row."""
    rows_per_second: float | None
    """Row t covers [t, t + 1) / rows_per_second; None where spans say what a row covers."""
    recipe: dict[str, str | int | float]
    """All else that decides a row: resize rule, crop, version of the code, ..."""
    row_type: RowType = "float16"
    """Features are float16; the numbers of words in a table (word_table.py) int32."""

    @property
    def row_dtype(self) -> "np.dtype[Any]":
        """Of a number of a row, in memory as in the file."""
        return ROW_DTYPES[self.row_type]

    def to_json(self) -> str:
        """The same text for equal fingerprints."""
        rate = None if self.rows_per_second is None else float(self.rows_per_second)
        fields = asdict(self) | {"rows_per_second": rate}
        if self.row_type == "float16":
            del fields["row_type"]  # the text that it was before there was another type
        return canonical_json(fields)

    @classmethod
    def from_json(cls, text: str) -> "Fingerprint":
        """The fingerprint that `to_json` wrote."""
        return cls(**json.loads(text))

    def digest(self) -> str:
        """SHA-256 of the fingerprint, in hexadecimal digits."""
        return sha256(self.to_json().encode()).hexdigest()

    def differences(self, other: "Fingerprint") -> str:
        """What differs, as `dim: 2048 and 1024, recipe.crop: ...`; empty if nothing does."""
        ours, theirs = self.parts(), other.parts()
        names = [name for name in ours | theirs if repr(ours.get(name)) != repr(theirs.get(name))]
        return ", ".join(f"{name}: {ours.get(name)} and {theirs.get(name)}" for name in names)

    def parts(self) -> dict[str, str | int | float | None]:
        """All of it by name, the recipe's parts as `recipe.crop`."""
        parts: dict[str, str | int | float | None] = json.loads(self.to_json())
        del parts["recipe"]
        return parts | {f"recipe.{name}": value for name, value in self.recipe.items()}
