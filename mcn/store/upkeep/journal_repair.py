"""Records behind a damaged place of a journal, which who carries on with it would cut off."""

import os
from collections.abc import Iterator
from pathlib import Path

from mcn.store.construction import COPYING_SUFFIX, let_go, newest_token, take_over_journal
from mcn.store.frames import Frame, find_frame, is_intact
from mcn.store.holder import Holder
from mcn.store.journal import HEADER_MARKER, RECORD_MARKER
from mcn.store.layout import SEALED_SUFFIX, lease_folder
from mcn.store.lease import LEASE_SECONDS, acquire
from mcn.store.rawio import fsync_folder, write_at

_PIECE_BYTES = 4 << 20


def repair_journal(journal: Path, *, lease_seconds: float = LEASE_SECONDS) -> int | None:
    """Cuts damage out of a journal; how many records behind it were kept, None if there are none.

    Raises:
        ValueError: The header is damaged, so that nothing says what the records are for.
        ShardBusyError: Another process writes the shard.
    """
    if not _records_behind_damage(journal):
        return None
    shard = journal.with_name(journal.name.rsplit(".", 2)[0] + SEALED_SUFFIX)
    lease = acquire(
        lease_folder(shard), Holder.here(), lease_seconds=lease_seconds, after=newest_token(shard)
    )
    try:
        with lease.explain_errors():
            ours = take_over_journal(shard, lease)
            num_kept = _records_behind_damage(ours)
            aside = ours.with_suffix(COPYING_SUFFIX)
            _copy_intact(ours, aside)
            lease.check()
            aside.rename(ours)
            fsync_folder(ours.parent)
    finally:
        let_go(shard, lease)
    return num_kept


def _records_behind_damage(journal: Path) -> int:
    with journal.open("rb") as file:
        frames, number, position = _intact_frames(file.fileno(), journal), 0, 0
        is_behind = False
        for frame in frames:
            is_behind |= frame.offset != position
            number += is_behind
            position = frame.end
    return number


def _copy_intact(journal: Path, aside: Path) -> None:
    """Writes the frames that are whole, one behind the other; on disk when this returns."""
    with journal.open("rb") as file, aside.open("wb") as copy:
        position = 0
        for frame in _intact_frames(file.fileno(), journal):
            for offset in range(frame.offset, frame.end, _PIECE_BYTES):
                piece = os.pread(file.fileno(), min(_PIECE_BYTES, frame.end - offset), offset)
                position = write_at(copy.fileno(), piece, position)
        os.fsync(copy.fileno())


def _intact_frames(descriptor: int, journal: Path) -> Iterator[Frame]:
    """The header, and every record whose checksum holds."""
    header = find_frame(descriptor, 0, HEADER_MARKER)
    if header is None or not is_intact(descriptor, header):
        raise ValueError(f"{journal}: the header is damaged; delete the file to do the shard again")
    yield header
    offset: int | None = header.end
    while offset is not None:
        frame = find_frame(descriptor, offset, RECORD_MARKER)
        if frame is not None and is_intact(descriptor, frame):
            yield frame
            offset = frame.end
        else:
            offset = _next_marker(descriptor, offset + 1)


def _next_marker(descriptor: int, offset: int) -> int | None:
    """Where the next bytes are with which a record might begin."""
    while piece := os.pread(descriptor, _PIECE_BYTES, offset):
        at = piece.find(RECORD_MARKER)
        if at >= 0:
            return offset + at
        if len(piece) < len(RECORD_MARKER):
            return None
        offset += len(piece) - len(RECORD_MARKER) + 1
    return None
