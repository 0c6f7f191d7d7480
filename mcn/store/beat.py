"""The beat of a lease: who holds it, and a number that rises for as long as the holder lives."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from mcn.store.holder import Holder
from mcn.store.rawio import is_gone, write_at

_BYTES = 1024
"""Of every beat: it is written in place, and never cut short on the way."""


class Beat(NamedTuple):
    """What a holder says of itself."""

    holder: Holder
    lease_seconds: float
    """It promises another number within this time."""
    number: int = 0
    is_released: bool = False

    def is_over(self) -> bool:
        """Whether it is certain that the holder writes no more."""
        return self.is_released or self.holder.has_ended()

    def write(self, path: Path, *, new: bool) -> None:
        """Puts it on the server, over the earlier one or as a new file.

        Raises:
            OSError: One that `is_gone` knows if the file is not new and has been removed.
        """
        text = json.dumps(self._asdict() | {"holder": asdict(self.holder)}).encode()
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0)
        descriptor = os.open(path, flags, 0o666)
        try:
            write_at(descriptor, text.ljust(_BYTES), 0)
        finally:
            os.close(descriptor)

    @classmethod
    def decode(cls, text: bytes) -> "Beat | None":
        """None if it is not whole, which a crash can leave."""
        try:
            fields = json.loads(text)
            return cls(**fields | {"holder": Holder(**fields["holder"])})
        except (ValueError, TypeError, KeyError):
            return None


def read_beats(folder: Path, token: int) -> dict[str, bytes]:
    """What is in the beats of a token, by name; there is one but where a crash fell."""
    beats = {}
    for path in folder.iterdir():
        if path.name.startswith(f"{token}."):
            try:
                beats[path.name] = path.read_bytes()
            except OSError as error:
                if not is_gone(error):
                    raise
    return beats
