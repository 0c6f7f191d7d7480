"""Makes files that turn up among 900,000 videos and should not: cut, damaged, lying, hostile."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from tests.videos import write_video

SECONDS = 2.0


def plain(path: Path, **kind: Any) -> Path:
    """A small video of the kind."""
    return write_video(path, **{"seconds": SECONDS, "width": 96, "height": 72} | kind)


def cut(sound: Path, path: Path) -> None:
    """Three fifths of a file."""
    path.write_bytes(sound.read_bytes()[: sound.stat().st_size * 6 // 10])


def cut_without_faststart(sound: Path, path: Path) -> None:
    """The same of one whose index comes last."""
    cut(write_to(path.with_suffix(".whole.mp4"), sound, {}), path)
    path.with_suffix(".whole.mp4").unlink()


def damage_the_middle(sound: Path, path: Path) -> None:
    """Random bytes in every hundredth place of the middle third."""
    content = bytearray(sound.read_bytes())
    generator = np.random.default_rng(1)
    third = len(content) // 3
    for place in generator.integers(third, 2 * third, third // 100):
        content[place] = generator.integers(256)
    path.write_bytes(content)


def leave_a_gap(path: Path) -> None:
    """No sound, and zeros in the place of three tenths of the pictures."""
    content = bytearray(plain(path, sample_rate=None).read_bytes())
    start, stop = len(content) // 2, len(content) * 4 // 5
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)


def change_sound(path: Path) -> None:
    """A transport stream whose sound has one channel, and then two and another rate."""
    content = b""
    for start_seconds, layout, sample_rate in ((10, "mono", 44_100), (12, "stereo", 48_000)):
        piece = plain(path.with_suffix(".piece.mp4"), layout=layout, sample_rate=sample_rate)
        shift(piece, path, "mpegts", start_seconds)
        piece.unlink()
        content += path.read_bytes()
    path.write_bytes(content)


def mutate(content: bytes, seed: int) -> bytes:
    """A few bits flipped, bytes overwritten, a stretch removed or doubled, or the end cut off."""
    generator = np.random.default_rng(seed)
    mutant = bytearray(content)
    for _ in range(generator.integers(1, 9)):
        first, length = generator.integers(len(mutant)), int(generator.integers(1, 200))
        match generator.integers(5):
            case 0 | 1:
                mutant[first] ^= 1 << generator.integers(8)
            case 2:
                mutant[first : first + length] = generator.bytes(length)
            case 3:
                del mutant[first : first + length]
            case 4:
                mutant[first:first] = mutant[first : first + length]
    if generator.random() < 0.1:
        del mutant[generator.integers(len(mutant)) :]
    return bytes(mutant)


def write_to(path: Path, source: Path, options: dict[str, str], form: str = "mp4") -> Path:
    """The streams of a file in another container, as they are."""
    with av.open(str(source)) as old, av.open(f"file:{path}", "w", form, options) as new:
        streams = {stream: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                new.mux(packet)
    return path


def shift(sound: Path, path: Path, form: str, seconds: float) -> None:
    """A file whose time stamps begin elsewhere than at 0."""
    options = {"output_ts_offset": str(seconds), "avoid_negative_ts": "disabled"}
    write_to(path, sound, options | ({"mpegts_copyts": "1"} if form == "mpegts" else {}), form)


def without_picture(sound: Path, path: Path) -> None:
    """The sound of a file alone."""
    with av.open(str(sound)) as old, av.open(f"file:{path}", "w", "mp4") as new:
        (audio,) = old.streams.audio
        stream = new.add_stream_from_template(audio)
        for packet in old.demux(audio):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def with_subtitles(sound: Path, path: Path) -> None:
    """A file with a track of text besides."""
    with av.open(str(sound)) as old, av.open(f"file:{path}", "w", "matroska") as new:
        streams = {stream: new.add_stream_from_template(stream) for stream in old.streams}
        text = new.add_mux_stream("subrip")
        for second in range(int(SECONDS)):
            packet = Packet(b"chop the onion")
            packet.stream, packet.time_base = text, Fraction(1)
            packet.pts = packet.dts = second
            packet.duration = 1
            new.mux(packet)
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                new.mux(packet)


def with_a_cover_alone(sound: Path, path: Path) -> None:
    """Sound, with a picture of the album."""
    with av.open(str(sound)) as old, av.open(f"file:{path}", "w", "mp4") as new:
        (audio,) = old.streams.audio
        stream = new.add_stream_from_template(audio)
        cover = new.add_mux_stream("png", rate=Fraction(1), width=64, height=64)
        cover.disposition = av.stream.Disposition.attached_pic
        picture = Packet(png(64))
        picture.stream, picture.pts, picture.dts, picture.time_base = cover, 0, 0, Fraction(1)
        new.mux(picture)
        for packet in old.demux(audio):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def promise_pixels(path: Path, *, side: int, num_pictures: int) -> None:
    """Black-and-white PNGs a second apart: a thousandth, or less, of what they decode to."""
    with av.open(f"file:{path}", "w", format="mov") as container:
        stream = container.add_mux_stream("png", rate=Fraction(1), width=side, height=side)
        content = png(side)
        for second in range(num_pictures):
            packet = Packet(content)
            packet.stream, packet.is_keyframe = stream, True
            packet.pts = packet.dts = second
            packet.time_base = Fraction(1)
            container.mux(packet)


def png(side: int) -> bytes:
    """A black square in one bit a pixel."""
    header = struct.pack("!IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side * (1 + side // 8)))
    picture = b"\x89PNG\r\n\x1a\n"
    for kind, content in [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]:
        checksum = struct.pack("!I", zlib.crc32(kind + content))
        picture += struct.pack("!I", len(content)) + kind + content + checksum
    return picture


def promise_a_year(path: Path) -> None:
    """A Matroska file that says it lasts a year."""
    content = plain(path.with_suffix(".mkv")).read_bytes()
    path.with_suffix(".mkv").unlink()
    place = content.index(b"\x44\x89\x88") + 3  # Duration, eight bytes long
    path.write_bytes(content[:place] + struct.pack("!d", 3.2e10) + content[place + 8 :])


def twice_over(path: Path) -> None:
    """A transport stream behind another, so that time jumps back in the middle."""
    once = write_to(path, plain(path.with_suffix(".once.mp4")), {}, "mpegts").read_bytes()
    path.with_suffix(".once.mp4").unlink()
    path.write_bytes(once + once)


def with_a_late_stream(path: Path) -> None:
    """A Flash video at whose end sound of another codec turns up."""
    once = path.with_suffix(".once.avi")
    plain(once, sample_rate=44_100, codecs=("flv1", "libmp3lame"))
    write_to(path, once, {}, "flv")
    once.unlink()
    payload = b"\x1f" + bytes(200)  # ADPCM
    tag = b"\x08" + struct.pack("!I", len(payload))[1:] + struct.pack("!I", 2000)[1:] + bytes(4)
    path.write_bytes(path.read_bytes() + tag + payload)


def refer_to(sound: Path, path: Path, other: Path) -> None:
    """An mp4 whose tracks say that their pictures and sounds are in another file."""
    write_to(path, sound, {})  # its index comes last, so that it may grow
    location = str(other).encode()
    alias = bytes(150) + b"\0\2" + struct.pack("!H", len(location)) + location
    alias += bytes(len(location) % 2) + struct.pack("!h", -1)
    reference = struct.pack("!I4sI", 12 + len(alias), b"alis", 0) + alias
    path.write_bytes(_replaced(path.read_bytes(), b"url ", reference))


def _replaced(boxes: bytes, kind: bytes, replacement: bytes) -> bytes:
    """Boxes of an mp4 in which each of the kind is another; those around it grow with it."""
    insides = {b"moov": 8, b"trak": 8, b"mdia": 8, b"minf": 8, b"dinf": 8, b"dref": 16}
    made, place = b"", 0
    while place < len(boxes):
        length, name = struct.unpack_from("!I4s", boxes, place)
        box = boxes[place : place + length]
        if name == kind:
            box = replacement
        elif name in insides:
            inside = insides[name]
            content = box[8:inside] + _replaced(box[inside:], kind, replacement)
            box = struct.pack("!I4s", 8 + len(content), name) + content
        made, place = made + box, place + length
    return made
