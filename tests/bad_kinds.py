"""What a kind of bad input is: what is done to a file, and what may become of it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bad_files import SECONDS


@dataclass(frozen=True)
class Site:
    """What bad files are made of, and what they point at."""

    sound: Path
    """A file with nothing wrong."""
    outside: Path
    """A folder in which nothing is to be read or written."""
    port: int
    """Of a server on this machine that nobody is to speak to."""

    def canary(self, path: Path) -> Path:
        """A sound file in the folder outside, for this bad file alone to point at."""
        canary = self.outside / f"{path.parent.name} {path.name}"
        shutil.copy(self.sound, canary)
        return canary


Make = Callable[[Site, Path], object]
"""Makes the bad file at the path."""

Two = tuple[str, str]
"""Why there are no features of picture and of sound; empty where there are."""


@dataclass(frozen=True, kw_only=True)
class Bad:
    """What is done to a file, and the reasons that it fails for; none where it does not."""

    what: str
    make: Make
    resized: str = ""
    features: Two = ("", "")
    """Of what resizing made of it."""
    as_is: Two = ("", "")
    """Of the file itself, in the place of one that resizing made."""
    video_id: str = ""
    """By default the name of the kind."""
    suffix: str = ".mp4"
    seconds: float = SECONDS
    """How long it is said to be, for which the clock allows."""


def nothing_wrong(site: Site, path: Path) -> None:
    shutil.copy(site.sound, path)


def name_another(form: str) -> Make:
    def make(site: Site, path: Path) -> None:
        canary = site.canary(path)
        path.write_text(form.format(file=canary, port=site.port))

    return make


def leave_out(site: Site, path: Path) -> None:
    """Leaves the place empty."""


def link_to_another(site: Site, path: Path) -> None:
    path.symlink_to(site.canary(path))


def leave_a_hole(site: Site, path: Path) -> None:
    path.touch()
    os.truncate(path, 10**9)


UNREADABLE = ("unreadable", "unreadable")
