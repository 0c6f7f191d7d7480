"""How the processes of one job find each other, told in torchrun's words.

The first rank looks for a free port, beginning at one that follows from the job's id, and writes
it into a file; the others read it. A port that follows from the id alone may be taken, and the
other ranks would talk to whoever has it.
"""

import json
import socket
import time
import zlib
from pathlib import Path

from slurm.controller import SlurmError, call
from slurm.environment import Place
from slurm.submission import replace_text

FIRST_PORT = 20_000
NUM_PORTS = 12_000  # below those that Linux gives to outgoing connections
PORTS_TRIED = 100
SECONDS_TO_MEET = 300.0


def meet(folder: Path, place: Place) -> dict[str, str]:
    """Variables of torchrun for this process; none for a process that is alone.

    Args:
        folder: Seen by all nodes; a small file a start is left there.
        place: Which process this is.

    Raises:
        TimeoutError: The first rank has not said where it is.
    """
    if place.num_ranks == 1:
        return {}
    path = folder / f"{place.job_id}.{place.restart}"
    if place.rank == 0:
        folder.mkdir(exist_ok=True)
        replace_text(path, json.dumps([address_of(place.node), free_port(place.job_id)]))
    address, port = _read(path)
    return {
        "RANK": str(place.rank),
        "LOCAL_RANK": str(place.local_rank),
        "WORLD_SIZE": str(place.num_ranks),
        "LOCAL_WORLD_SIZE": str(place.num_local_ranks),
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
    }


def free_port(job_id: str) -> int:
    """A port of this node that nobody listens on: the first free one from that of the job.

    Raises:
        OSError: A hundred in a row are taken.
    """
    start = zlib.crc32(job_id.encode()) % NUM_PORTS
    for offset in range(PORTS_TRIED):
        port = FIRST_PORT + (start + offset) % NUM_PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"{PORTS_TRIED} ports from {FIRST_PORT + start} on are all taken on this node")


def address_of(node: str) -> str:
    """Where other nodes reach this one: its name where that resolves, else what SLURM calls.

    Raises:
        SlurmError: Neither is known.
    """
    try:
        return str(socket.getaddrinfo(node, None, socket.AF_INET)[0][4][0])
    except socket.gaierror:
        described = call("scontrol", "show", "node", node, "--oneliner")
    for field in described.split():
        name, _, value = field.partition("=")
        if name == "NodeAddr":
            return value
    raise SlurmError(f"the name {node} does not resolve, and scontrol knows no address of it")


def _read(path: Path) -> tuple[str, int]:
    deadline = time.monotonic() + SECONDS_TO_MEET
    while time.monotonic() < deadline:
        # To list a folder is what makes a network file system look again.
        if path.parent.exists() and path in path.parent.iterdir():
            address, port = json.loads(path.read_text())
            return address, port
        time.sleep(0.2)
    raise TimeoutError(f"{path}: the first rank has not said where it is for {SECONDS_TO_MEET:g} s")
