"""Which files are opened in a folder, and how often, by whatever process: Linux's inotify."""

import ctypes
import os
import struct
from collections import Counter
from pathlib import Path
from types import TracebackType

IN_OPEN = 0x20
EVENT = struct.Struct("iIII")


class OpenedFiles:
    """Counts, from its making on, how often each file of a folder is opened."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        self._counts: Counter[str] = Counter()

    def counts(self) -> Counter[str]:
        """How often each name has been opened so far."""
        while True:
            try:
                content = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return self._counts
            while content:
                *_, size = EVENT.unpack_from(content)
                name = content[EVENT.size : EVENT.size + size].rstrip(b"\0")
                self._counts[os.fsdecode(name)] += 1
                content = content[EVENT.size + size :]

    def __enter__(self) -> "OpenedFiles":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
