"""By which address, port and interface the processes of a job on several nodes find each other.

On Debian, Ubuntu and DGX OS a node's own name leads to its loopback, 127.0.1.1: elsewhere it is
right, and there it must be passed on to nobody.
"""

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable

from slurm.controller import SlurmError, call
from slurm.details import detail

# The kernel's request for the address of an interface, and the size of what it fills.
SIOCGIFADDR = 0x8915
IFREQ_BYTES = 40
# Where nothing is sent to: a datagram's socket has its way once it is connected.
DISCARD_PORT = 9


def hold_port(ports: Iterable[int]) -> socket.socket:
    """A socket that keeps the first free one of these ports until it is closed.

    Whoever listens with SO_REUSEADDR, as torch's store does, may take the port meanwhile; to others
    it is taken, and to whoever else holds it so.

    Raises:
        OSError: All are taken.
    """
    tried = []
    for port in ports:
        holder = socket.socket()
        try:
            holder.bind(("", port))
        except OSError:
            holder.close()
            tried.append(port)
            continue
        # Not before: two holders would share it.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return holder
    raise OSError(f"the ports {tried[0]} to {tried[-1]} are all taken on this node")


def own_address(node: str, job_nodes: str) -> str:
    """Where the other nodes of a job reach this one.

    Args:
        node: This one.
        job_nodes: All of them, as SLURM writes them: `node[1-4]`.

    Raises:
        SlurmError: Neither its name nor SLURM tells.
    """
    address = address_of(node)
    if not is_loopback(address):
        return address
    others = (n for n in call("scontrol", "show", "hostnames", job_nodes).split() if n != node)
    return address_towards(address_of(next(others)))


def address_of(node: str) -> str:
    """The address of a node: that of its name where it resolves, else where SLURM calls it.

    Raises:
        SlurmError: Neither is known.
    """
    address = resolved(node) or resolved(called := detail("node", node, "NodeAddr"))
    if address is None:
        raise SlurmError(f"the names {node} and {called} do not resolve on this node")
    return address


def resolved(name: str) -> str | None:
    """What this node takes a name for; None where it knows none."""
    try:
        return str(socket.getaddrinfo(name, None, socket.AF_INET)[0][4][0])
    except socket.gaierror:
        return None


def is_loopback(address: str) -> bool:
    """Whether a numeric address leads back to whoever calls it."""
    return ipaddress.ip_address(address).is_loopback


def address_towards(address: str) -> str:
    """The address of this node from which it reaches another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, DISCARD_PORT))
        return str(probe.getsockname()[0])


def interface_towards(address: str) -> str:
    """The network interface by which this node reaches another.

    Raises:
        OSError: No interface has the address that it would do so from.
    """
    own = address_towards(address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack(f"{IFREQ_BYTES}s", name.encode())
            try:
                answer = fcntl.ioctl(asking, SIOCGIFADDR, request)
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(answer[20:24]) == own:
                return name
    raise OSError(f"no interface of this node has the address {own}")
