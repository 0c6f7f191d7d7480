"""What a sandbox and its child say to each other: JSON, and raw arrays; nothing is unpickled."""

import json
import mmap
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LENGTH = struct.Struct("!I")
LONGEST_MESSAGE = 1_000_000
DTYPES = ("uint8", "float32", "float64")

Message = dict[str, Any]
Fill = Callable[[memoryview], None]
"""Fills a buffer from the other side; raises EOFError where there is no other side any more."""


class Labelled(NamedTuple):
    """An array with a word on it, of what JSON has."""

    array: NDArray[Any]
    label: Message


def send(channel: socket.socket, message: Message) -> None:
    """Sends a message: its length, and JSON."""
    content = json.dumps(message).encode()
    channel.sendall(LENGTH.pack(len(content)) + content)


def receive(fill: Fill) -> Message:
    """The next message.

    Raises:
        EOFError: There is none, or something else.
    """
    head = bytearray(LENGTH.size)
    fill(memoryview(head))
    (length,) = LENGTH.unpack(head)
    if length > LONGEST_MESSAGE:
        raise EOFError(f"a message of {length} bytes")
    content = bytearray(length)
    fill(memoryview(content))
    try:
        message: Message = json.loads(content)
    except ValueError as error:
        raise EOFError("a message that is no JSON") from error
    return message


def send_array(channel: socket.socket, array: NDArray[Any], label: Message) -> None:
    """Sends a message of kind "array", and its bytes as they lie in memory."""
    form = {"dtype": array.dtype.name, "shape": array.shape}
    send(channel, {"kind": "array", **form, "label": label})
    channel.sendall(_bytes_of(np.ascontiguousarray(array)))


def receive_array(message: Message, fill: Fill) -> NDArray[Any]:
    """The array that such a message announces."""
    if message["dtype"] not in DTYPES:
        raise EOFError(f"an array of {message['dtype']}")
    if not (size := num_bytes(message)):
        return np.empty(message["shape"], message["dtype"])
    # Of the kernel: malloc keeps several times what is in use where one thread frees what another
    # has asked for, all the while.
    content = mmap.mmap(-1, size)
    with memoryview(content) as view:
        fill(view)
    return np.frombuffer(content, message["dtype"]).reshape(message["shape"])


def num_bytes(message: Message) -> int:
    """How many bytes the array will have that such a message announces."""
    size = np.dtype(message["dtype"]).itemsize
    for length in message["shape"]:
        size *= length
    return int(size)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
