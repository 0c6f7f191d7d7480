"""One pass over each video's file makes the records of all features that are wanted of it."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from numpy.typing import NDArray
from torch import Tensor

from extractors.ahead import flow_ahead
from extractors.batching import RowMaker
from extractors.corpus import ResizedVideos
from extractors.decode_streams import decode_streams
from extractors.extract import RecordSource, Wanted, failed_record
from extractors.media import MediaError
from extractors.sandbox import DEFAULT_LIMITS, Sandbox, SandboxLimits
from extractors.streams import Stream, to_words
from mcn.store.layout import NOT_COUNTED
from mcn.store.record import Record


@runtime_checkable
class MediaSource(RecordSource, Protocol):
    """Makes the records of one feature from one stream of resized videos."""

    videos: ResizedVideos
    limits: SandboxLimits
    """What a video may cost, where its records are made alone."""
    stream: Stream
    """What it takes of each video's file."""
    min_complete: float
    """The share of a video that must be there, of what its raw file had promised."""

    def records(self, video_ids: Iterable[str]) -> Iterator[Record]:
        """A record for each video in the order given, of a pass that is shared with no other."""
        return records_alone(self, video_ids)

    def piece(self, array: NDArray[Any]) -> Tensor:
        """What the network sees of some of the stream; called in the thread that decodes."""

    def row_maker(self) -> RowMaker:
        """A new one for each pass."""

    def record(self, video_id: str, rows: Tensor, completeness: float) -> Record:
        """The record of a video with these rows."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Where and how fast files are decoded."""

    limits: SandboxLimits = DEFAULT_LIMITS
    num_decoders: int = 1
    """Files decoded at once: as many are decoded again after a kill, on top of those in a batch."""


class _Health(NamedTuple):
    """How much of a video there was, and how often it was damaged."""

    completeness: float
    num_errors: int


class _Piece(NamedTuple):
    """Some frames of a video."""

    number: int
    """Of the source that wants them."""
    frames: Tensor


class _Again(NamedTuple):
    """What has come so far of a video is of no use: it comes again."""

    number: int


class _Ending(NamedTuple):
    """How a video has ended."""

    number: int
    video_id: str
    outcome: _Health | MediaError
    """In which state it was, or why there is nothing."""


_Event = _Piece | _Again | _Ending


def records_in_one_pass(
    sources: Sequence[MediaSource], wanted: Iterable[Wanted], decoding: Decoding
) -> Iterator[tuple[int, Record]]:
    """Records with the number of their source; for each source in the order of the videos.

    Args:
        sources: All of them take the same videos.
        wanted: The videos, each with the numbers of the sources that lack it.
        decoding: Several files at once need so many cores.
    """
    makers = [source.row_maker() for source in sources]
    healths: dict[tuple[int, str], _Health] = {}

    def finished(number: int) -> Iterator[tuple[int, Record]]:
        source = sources[number]
        for video_id, rows in makers[number].finished():
            if isinstance(rows, MediaError):
                healths.pop((number, video_id), None)
                yield number, failed_record(video_id, rows.reason, source.fingerprint)
            else:
                health = healths.pop((number, video_id))
                record = source.record(video_id, rows, health.completeness)
                yield number, replace(record, num_errors=health.num_errors)

    with (
        _sandboxes(decoding) as sandboxes,
        closing(
            flow_ahead(
                partial(_decoded, sources, sandboxes),
                wanted,
                num_threads=decoding.num_decoders,
                size_of=lambda event: event.frames.nbytes if isinstance(event, _Piece) else 0,
                most_bytes=decoding.limits.memory_bytes,
                # Those who decode side by side need no threads of torch's besides.
                initializer=partial(torch.set_num_threads, 1),
            )
        ) as events,
    ):
        for event in events:
            maker = makers[event.number]
            match event:
                case _Piece(_, frames):
                    maker.add(frames)
                case _Again():
                    maker.drop()
                case _Ending(number, video_id, outcome):
                    if isinstance(outcome, MediaError):
                        maker.end(video_id, outcome)
                    else:
                        healths[number, video_id] = outcome
                        maker.end(video_id)
            yield from finished(event.number)
        for number, maker in enumerate(makers):
            maker.flush()
            yield from finished(number)


def records_alone(source: MediaSource, video_ids: Iterable[str]) -> Iterator[Record]:
    """The records of one feature, which shares its pass with no other."""
    wanted = (Wanted(video_id, (0,)) for video_id in video_ids)
    decoding = Decoding(limits=source.limits)
    return (record for _, record in records_in_one_pass([source], wanted, decoding))


@contextmanager
def _sandboxes(decoding: Decoding) -> Iterator[SimpleQueue[Sandbox]]:
    """One for each thread; whoever takes one puts it back."""
    sandboxes: SimpleQueue[Sandbox] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(decoding.num_decoders):
            sandboxes.put(stack.enter_context(Sandbox(decode_streams, decoding.limits)))
        yield sandboxes


def _decoded(
    sources: Sequence[MediaSource], sandboxes: SimpleQueue[Sandbox], wanted: Wanted
) -> Generator[_Event, None, None]:
    """The video as each source that wants it sees it, by one pass over its file.

    A file that cannot be gone through to its end is decoded for each source alone, so that none
    loses what another stumbles over.
    """
    run = partial(_by_one_pass, wanted.video_id, sources)
    sandbox = sandboxes.get()
    try:
        try:
            yield from run(wanted.sources, sandbox)
            return
        except MediaError as error:
            if len(wanted.sources) == 1:
                yield _Ending(wanted.sources[0], wanted.video_id, error)
                return
        for number in wanted.sources:
            yield _Again(number)
            try:
                yield from run((number,), sandbox)
            except MediaError as error:
                yield _Ending(number, wanted.video_id, error)
    finally:
        sandboxes.put(sandbox)


def _by_one_pass(
    video_id: str, sources: Sequence[MediaSource], numbers: Sequence[int], sandbox: Sandbox
) -> Iterator[_Event]:
    videos = sources[numbers[0]].videos
    if video_id not in videos.seconds:  # its line in the ledger of resizing is gone, or damaged
        raise MediaError("missing", f"{video_id} is not resized, for all that jobs/resize.py says")
    streams = list(dict.fromkeys(sources[number].stream for number in numbers))
    endings: dict[int, dict[str, Any]] = {}
    with closing(
        sandbox.run_labelled(
            videos.path(video_id),
            promised_seconds=videos.seconds[video_id],
            streams=[to_words(stream) for stream in streams],
        )
    ) as arrays:
        for array, label in arrays:
            for number in numbers:
                if sources[number].stream == streams[label["stream"]]:
                    if len(label) > 1:
                        endings[number] = label
                    else:
                        yield _Piece(number, sources[number].piece(array))
    for number in numbers:
        yield _Ending(number, video_id, _outcome(video_id, sources[number], endings[number]))


def _outcome(video_id: str, source: MediaSource, ending: dict[str, Any]) -> _Health | MediaError:
    if "reason" in ending:
        return MediaError(ending["reason"], ending["message"])
    completeness: float = source.videos.completeness[video_id] * ending["completeness"]
    if completeness < source.min_complete:
        return MediaError(
            "truncated", f"{video_id}: {completeness:.1%} of what the source promised is there"
        )
    num_errors = source.videos.num_errors.get(video_id, NOT_COUNTED)
    if num_errors != NOT_COUNTED:
        num_errors += ending["num_errors"]
    return _Health(completeness, num_errors)
