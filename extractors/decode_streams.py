"""Decodes several streams of a file in one pass over it; without torch, for a sandbox.

Each stream has a decoder of its own, which sees the packets that it would see alone. What comes of
it is therefore the same, as long as the file can be read to its end.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import av.stream
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from extractors.media import MediaError, SoundDecoder, find_audio, open_media, start_seconds
from extractors.moving_pictures import MovingPictureTap
from extractors.pictures import PictureTap
from extractors.readable import check_readable
from extractors.sandbox_wire import Labelled, Message
from extractors.streams import MovingPictures, Pictures, Stream, from_words
from extractors.track import MediaPacket, Share, packets

NOTHING = np.empty(0, np.uint8)


@runtime_checkable
class Tap(Protocol):
    """Takes one wanted stream from the packets of a file; a MediaError of its own ends it."""

    @property
    def stream(self) -> av.stream.Stream:
        """Whose packets it takes."""

    @property
    def completeness(self) -> float:
        """At the end, how much of it there was."""

    @property
    def num_errors(self) -> int:
        """At how many places it was damaged so far."""

    def push(self, packet: MediaPacket) -> Iterator[NDArray[Any]]: ...

    def finish(self) -> Iterator[NDArray[Any]]: ...


def decode_streams(path: Path, *, streams: list[Message]) -> Iterator[Labelled]:
    """What comes of each stream: arrays under its number, and how it ended.

    The label of an array is `{"stream": number}`. The last one of each stream is empty and has
    either `completeness` and `num_errors`, or `reason` and `message` of an error of its own.

    Raises:
        MediaError: If the file cannot be opened; "cut-off" if several streams are wanted and it
            ends before its time, so that each had better be decoded alone; "unreadable-now" if
            anything of a stream is missing, and not every byte of the file can be read.
    """
    with open_media(path) as container:
        taps: dict[int, Tap] = {}
        for number, words in enumerate(streams):
            try:
                taps[number] = _tap(from_words(words), path, container)
            except MediaError as error:
                yield _failed(number, error)
        tapped = list({tap.stream.index: tap.stream for tap in taps.values()}.values())
        num_packets: Counter[int] = Counter()
        for packet in packets(container, *tapped) if tapped else ():
            num_packets[packet.stream.index] += packet.size > 0
            for number, tap in list(taps.items()):
                if tap.stream.index == packet.stream.index:
                    try:
                        for array in tap.push(packet):
                            yield Labelled(array, {"stream": number})
                    except MediaError as error:
                        del taps[number]
                        yield _failed(number, error)
            if not taps:
                return
        if len(tapped) > 1 and any(num_packets[s.index] < s.frames for s in tapped):
            raise MediaError("cut-off", f"{path}: ends before its time")
        for number, tap in taps.items():
            yield from _finished(number, tap)
        if any(tap.completeness < 1 for tap in taps.values()):
            check_readable(path)  # for what is missing may only be out of reach


def _tap(stream: Stream, path: Path, container: InputContainer) -> Tap:
    if isinstance(stream, Pictures):
        return PictureTap(path, container)
    if isinstance(stream, MovingPictures):
        return MovingPictureTap(path, container, stream)
    audio = find_audio(container)
    if audio is None:
        raise MediaError("no-audio", f"{path}: there is no sound in it")
    return SoundTap(path, audio, container, stream.sample_rate)


class SoundTap(SoundDecoder):
    """Takes sound, and knows how much of it there was."""

    def __init__(
        self, path: Path, audio: AudioStream, container: InputContainer, sample_rate: int
    ) -> None:
        super().__init__(path, audio, start_seconds(container), sample_rate)
        self.stream = audio

    @property
    def completeness(self) -> float:
        promised_seconds = self.track.promised_seconds or self.track.span_seconds
        return Share(self.track.decoded_seconds, promised_seconds).completeness

    @property
    def num_errors(self) -> int:
        return self.track.num_errors


def _finished(number: int, tap: Tap) -> Iterator[Labelled]:
    try:
        for array in tap.finish():
            yield Labelled(array, {"stream": number})
        health = {"completeness": tap.completeness, "num_errors": tap.num_errors}
        yield Labelled(NOTHING, {"stream": number, **health})
    except MediaError as error:
        yield _failed(number, error)


def _failed(number: int, error: MediaError) -> Labelled:
    return Labelled(NOTHING, {"stream": number, "reason": error.reason, "message": error.message})
