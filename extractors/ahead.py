"""Does work in background threads, a few items ahead of the use of its results.

What is made of an item is used while more of it is being made. Who is ahead of the use by so many
bytes waits for it, so that memory is bounded however much comes of an item.
"""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Pipe(Generic[U]):
    """Results on their way from the thread that makes them to the one that uses them."""

    def __init__(self, size_of: Callable[[U], int], most_bytes: int) -> None:
        """Holds so many bytes, or a single result that is larger."""
        self._size_of = size_of
        self._most_bytes = most_bytes
        self._results: deque[U] = deque()
        self._num_bytes = 0
        self._is_complete = False
        self._is_left_alone = False
        self._error: BaseException | None = None
        self._changed = Condition()

    def fill(self, results: Generator[U, None, None]) -> None:
        """Takes all of them, or those before it is left alone; and the error that ends them."""
        try:
            with closing(results):
                while not self._is_left_alone and (result := next(results, None)) is not None:
                    self._put(result)
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._is_complete = True
                self._changed.notify_all()

    def _put(self, result: U) -> None:
        size = self._size_of(result)
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._is_left_alone
                    or not self._results
                    or self._num_bytes + size <= self._most_bytes
                )
            )
            self._results.append(result)
            self._num_bytes += size
            self._changed.notify_all()

    def __iter__(self) -> Iterator[U]:
        """What was put in, in its order; at its end the error."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._results or self._is_complete)
                if not self._results:
                    break
                result = self._results.popleft()
                self._num_bytes -= self._size_of(result)
                self._changed.notify_all()
            yield result
        if self._error is not None:
            raise self._error

    def leave_alone(self) -> None:
        """Nobody will take anything any more."""
        with self._changed:
            self._is_left_alone = True
            self._changed.notify_all()


def flow_ahead(
    function: Callable[[T], Generator[U, None, None]],
    items: Iterable[T],
    *,
    num_threads: int,
    size_of: Callable[[U], int],
    most_bytes: int,
    initializer: Callable[[], object] | None = None,
) -> Generator[U, None, None]:
    """What the function yields of each item, in the order of the items.

    An error is raised where the next result would have come. However this ends, no thread is left.

    Args:
        function: Runs in the threads.
        items: Taken in the caller's thread: beside the one whose results are used, as many as there
            are threads.
        num_threads: Items that are worked on at a time.
        size_of: The bytes of a result.
        most_bytes: Of an item's results that lie ready.
        initializer: Called first in each thread.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(num_threads, initializer=initializer) as pool:
        pipes: deque[Pipe[U]] = deque()

        def begin(count: int) -> None:
            for item in itertools.islice(remaining, count):
                pipes.append(Pipe(size_of, most_bytes))
                pool.submit(pipes[-1].fill, function(item))

        try:
            begin(1 + num_threads)
            while pipes:
                yield from pipes[0]
                pipes.popleft()
                begin(1)
        finally:
            for pipe in pipes:
                pipe.leave_alone()
