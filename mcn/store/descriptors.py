"""Open files of a store, opened when first read from, by every process for itself."""

import os
import resource
import weakref
from collections.abc import Sequence
from typing import Any

from mcn.store.shard import SealedShard


class Descriptor:
    """A file open for reading, closed with the last reference to it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class Descriptors:
    """Descriptors of many shards; those opened first are given up where there would be too many.

    Threads may share one: a descriptor that is given up closes when its last reader has done.
    """

    def __init__(self, shards: Sequence[SealedShard]) -> None:
        self._files = [(shard.path, shard.size_bytes, shard.modified_ns) for shard in shards]
        self._open: dict[int, Descriptor] = {}
        # Training has several stores, and DataLoader workers need descriptors of their own.
        self._most = max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
        _all.add(self)

    def __getitem__(self, shard: int) -> Descriptor:
        """The descriptor of a shard, opened if need be.

        Raises:
            OSError: If the file is not the one whose index was read.
        """
        found = self._open.get(shard)
        if found is None:
            found = self._open_file(shard)
            for old in list(self._open)[: max(0, len(self._open) + 1 - self._most)]:
                self._open.pop(old, None)
            self._open[shard] = found
        return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _all.add(self)

    def forget(self) -> None:
        """Gives up all of them; they are opened again when next read from."""
        self._open = {}

    def _open_file(self, shard: int) -> Descriptor:
        path, size_bytes, modified_ns = self._files[shard]
        descriptor = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        stat = os.fstat(descriptor.number)
        if (stat.st_size, stat.st_mtime_ns) != (size_bytes, modified_ns):
            raise OSError(f"{path} has been replaced since the store was opened; open it again")
        return descriptor


_all: "weakref.WeakSet[Descriptors]" = weakref.WeakSet()


def _forget_in_child() -> None:
    for descriptors in list(_all):
        descriptors.forget()


# Cheaper than asking for the process id at every read.
os.register_at_fork(after_in_child=_forget_in_child)
