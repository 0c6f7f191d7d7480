"""Finds the peers that are installed, and keeps a line for each that is not."""

import importlib
import shutil
from typing import Any


class Peers:
    """The peers of one benchmark."""

    def __init__(self) -> None:
        self.left_out: list[str] = []

    def module(self, name: str, *, way_out: str = "make .venv-bench") -> Any | None:
        """The module, or None if it cannot be imported; `way_out` is how to have it."""
        try:
            return importlib.import_module(name)
        except (ImportError, OSError, RuntimeError) as error:
            # Not only ImportError: torchcodec raises what its native libraries raise.
            reason = str(error).strip().partition("\n")[0]
            self.left_out.append(f"{name} is left out ({reason}): {way_out}")
            return None

    def ffmpeg(self) -> str | None:
        """A program `ffmpeg`: the system's, else that of the package imageio-ffmpeg."""
        found = shutil.which("ffmpeg")
        if found:
            return found
        package = self.module("imageio_ffmpeg")
        return None if package is None else str(package.get_ffmpeg_exe())
