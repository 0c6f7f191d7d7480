"""Takes items from where they are made in a background thread, within a bound of memory."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def read_ahead(
    items: Iterable[T], *, size: Callable[[T], int], limit: int
) -> Generator[T, None, None]:
    """The same items, made by a thread that goes on while they are used.

    An error in the making is raised here, after the items before it.

    Args:
        items: What to take.
        size: How much an item counts towards the limit.
        limit: What may lie ready; a single item may exceed it.
    """
    ready = _Ready(size, limit)
    maker = threading.Thread(target=ready.fill, args=(items,), daemon=True)
    maker.start()
    try:
        yield from ready.drain()
    finally:
        ready.close()
        maker.join()


class _Ready(Generic[T]):
    """Items between the thread that makes them and the one that uses them."""

    def __init__(self, size: Callable[[T], int], limit: int) -> None:
        self._size = size
        self._limit = limit
        self._items: deque[T] = deque()
        self._held = 0
        self._is_closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def fill(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:  # handed over, to be raised where the items are used
            self._error = error
        finally:
            self.close()

    def _put(self, item: T) -> bool:
        size = self._size(item)
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or not self._items or self._held + size <= self._limit
            )
            if self._is_closed:
                return False
            self._items.append(item)
            self._held += size
            self._changed.notify_all()
            return True

    def drain(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._is_closed)
                if not self._items:
                    break
                item = self._items.popleft()
                self._held -= self._size(item)
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
