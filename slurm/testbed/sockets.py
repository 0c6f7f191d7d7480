"""Sockets: ports that nobody listens on, and whether a daemon listens already."""

import random
import socket
from pathlib import Path

# Below those that Linux gives to whoever connects, so that none is taken between two starts.
LOWEST, HIGHEST = 10_000, 32_000
NUM_TRIES = 100


def free_ports(count: int) -> list[int]:
    """Ports in a row, free on every address of this machine.

    Raises:
        OSError: None were found.
    """
    for _ in range(NUM_TRIES):
        # The system's randomness: two testbeds that start at once must not draw the same.
        first = random.SystemRandom().randrange(LOWEST, HIGHEST - count)
        ports = list(range(first, first + count))
        if all(_is_free(port) for port in ports):
            return ports
    raise OSError(f"no {count} free ports in a row between {LOWEST} and {HIGHEST}")


def silence_of(path: Path) -> str:
    """Why nobody answers at this socket of the file system; empty if somebody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            return f"{path}: {error}"
        return ""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
