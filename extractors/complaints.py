"""What FFmpeg complains of and passes over: the only word of damage that shows in no result.

A demuxer that finds no sense in some bytes looks for the next that make sense, and a decoder
patches a picture up; both write a line to FFmpeg's log and are content. The lines are counted here
and shown nowhere. The count is the process's: exact where one thread decodes, as in a sandbox.
"""

from collections.abc import Iterator

import av.logging
from av.packet import Packet
from av.stream import Stream

av.logging.set_level(av.logging.PANIC)  # shows nothing short of that, yet counts all errors

DAMAGE = "behind damage"


def num_complaints() -> int:
    """How often FFmpeg has written an error to its log since this process began."""
    count: int = av.logging.get_last_error()[0]
    return count


def marked(packets: "Iterator[Packet[Stream]]") -> "Iterator[Packet[Stream]]":
    """The packets; behind a place where the demuxer complained the first of each stream is marked.

    What it found damaged while the file was being opened is not among them.
    """
    num_places = 0
    told: dict[int, int] = {}
    while True:
        before = num_complaints()
        packet = next(packets, None)
        if packet is None:
            return
        num_places += num_complaints() > before
        if told.get(packet.stream_index, 0) < num_places:
            told[packet.stream_index] = num_places
            packet.opaque = DAMAGE
        yield packet


def is_behind_damage(packet: "Packet[Stream]") -> bool:
    """Whether bytes before this packet, and behind the one before it, are damaged."""
    return packet.opaque == DAMAGE
