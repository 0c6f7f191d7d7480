"""How the processes of one job find each other, told in torchrun's words.

The first rank looks for a free port, beginning at one that follows from the job's id, and writes
it into a file; the others read it. A port that follows from the id alone may be taken, and the
other ranks would talk to whoever has it.
"""

import json
import os
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from slurm.environment import Place
from slurm.network import hold_port, interface_towards, is_loopback, own_address, resolved
from slurm.submission import replace_text

FIRST_PORT = 20_000
NUM_PORTS = 12_000  # below those that Linux gives to outgoing connections
PORTS_TRIED = 100
SECONDS_TO_MEET = 300.0
GLOO_INTERFACE = "GLOO_SOCKET_IFNAME"


@contextmanager
def meeting(folder: Path, place: Place) -> Iterator[dict[str, str]]:
    """Variables of torchrun for this process; none for a process that is alone.

    For the length of the block the port is kept from others, who might take it while libraries are
    still being imported.

    Args:
        folder: Seen by all nodes; a small file a start is left there.
        place: Which process this is.

    Raises:
        TimeoutError: The first rank has not said where it is.
    """
    if place.num_ranks == 1:
        yield {}
        return
    path = folder / f"{place.job_id}.{place.restart}"
    with ExitStack() as held:
        if place.rank == 0:
            port = held.enter_context(hold_port(ports_of(place.job_id))).getsockname()[1]
            folder.mkdir(exist_ok=True)
            replace_text(path, json.dumps([_address(place), port]))
        address, port = _read(path)
        yield {
            "RANK": str(place.rank),
            "LOCAL_RANK": str(place.local_rank),
            "WORLD_SIZE": str(place.num_ranks),
            "LOCAL_WORLD_SIZE": str(place.num_local_ranks),
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
            **_interface(place, address),
        }


def ports_of(job_id: str) -> Iterator[int]:
    """Ports that a job may use, the first that of its own."""
    start = zlib.crc32(job_id.encode()) % NUM_PORTS
    return (FIRST_PORT + (start + offset) % NUM_PORTS for offset in range(PORTS_TRIED))


def _address(place: Place) -> str:
    return own_address(place.node, place.nodes) if place.has_neighbours else "127.0.0.1"


def _interface(place: Place, address: str) -> dict[str, str]:
    """What gloo has to be told where it would listen on the loopback, by the name of the host."""
    own = resolved(socket.gethostname())
    is_right = own is not None and not is_loopback(own)
    if is_right or not place.has_neighbours or GLOO_INTERFACE in os.environ:
        return {}
    return {GLOO_INTERFACE: interface_towards(address)}


def _read(path: Path) -> tuple[str, int]:
    deadline = time.monotonic() + SECONDS_TO_MEET
    while time.monotonic() < deadline:
        # To list a folder is what makes a network file system look again.
        if path.parent.exists() and path in path.parent.iterdir():
            address, port = json.loads(path.read_text())
            return address, port
        time.sleep(0.2)
    raise TimeoutError(f"{path}: the first rank has not said where it is for {SECONDS_TO_MEET:g} s")
