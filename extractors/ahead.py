"""Takes items from where they are made in a background thread, a few ahead of their use."""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def read_ahead(items: Iterable[T], *, limit: int) -> Generator[T, None, None]:
    """The same items, made by a thread that goes on while they are used.

    An error in the making is raised here, after the items before it.

    Args:
        items: What to take.
        limit: How many may lie ready, the one in the making included.
    """
    ready = _Ready[T](limit)
    maker = threading.Thread(target=ready.fill, args=(iter(items),), daemon=True)
    maker.start()
    try:
        yield from ready.drain()
    finally:
        ready.close()
        maker.join()


class _Ready(Generic[T]):
    """Items between the thread that makes them and the one that uses them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._is_closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def fill(self, items: Iterator[T]) -> None:
        try:
            while self._has_room():
                item = next(items)
                with self._changed:
                    self._items.append(item)
                    self._changed.notify_all()
        except StopIteration:
            pass
        except BaseException as error:  # handed over, to be raised where the items are used
            self._error = error
        finally:
            self.close()

    def _has_room(self) -> bool:
        """Waits for room; False once nobody wants more."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._items) < self._limit)
            return not self._is_closed

    def drain(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._is_closed)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
