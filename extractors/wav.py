"""How much of a .wav there is: of one that was cut off FFmpeg says that it was meant to be so."""

from pathlib import Path

UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""What is written for a size by who does not know it yet."""


def share_there(path: Path) -> float:
    """Share of the bytes that the file's own header promises; 1 where it promises none."""
    with path.open("rb") as file:
        header = file.read(8)
    promised = int.from_bytes(header[4:], "little")
    if header[:4] != b"RIFF" or promised in UNKNOWN_SIZES:
        return 1.0
    return min(1.0, path.stat().st_size / (promised + 8))
