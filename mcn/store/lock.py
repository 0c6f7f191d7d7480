"""One writer per shard: an exclusive lock on the journal, gone with the process that held it."""

import fcntl
import io
import os
import weakref
from pathlib import Path


class ShardBusyError(RuntimeError):
    """Another process is writing this shard."""


def open_exclusively(path: Path) -> io.FileIO:
    """The file at `path`, opened for reading and writing, made if missing, and locked.

    Raises:
        ShardBusyError: If another process holds it.
    """
    while True:
        file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last holder may have sealed the shard and removed the file that we had opened.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                _held.add(file)
                return file
        except BlockingIOError as error:
            file.close()
            raise ShardBusyError(
                f"{path}: another process is writing this shard; wait for it, or end it"
            ) from error
        except OSError as error:
            file.close()
            raise OSError(
                error.errno,
                f"{error.strerror} (locking; a Lustre file system is to be mounted with -o flock)",
                str(path),
            ) from error
        file.close()


_held: "weakref.WeakSet[io.FileIO]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    # A forked child shares the lock and would hold it beyond the death of the writer.
    for file in list(_held):
        file.close()


os.register_at_fork(after_in_child=_let_go_in_child)
