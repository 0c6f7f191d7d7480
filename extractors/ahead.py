"""Does work in background threads, a few items ahead of the use of its results."""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def map_ahead(
    function: Callable[[T], U],
    items: Iterable[T],
    *,
    num_threads: int,
    initializer: Callable[[], object] | None = None,
) -> Generator[U, None, None]:
    """The function of each item, in the order of the items.

    An error is raised where its result would have come. Work that has begun is finished, however
    this ends.

    Args:
        function: Called in the threads.
        items: Taken in the caller's thread, as many ahead of a result's use as there are threads.
        num_threads: Items that are worked on at a time, or lie ready.
        initializer: Called first in each thread.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(num_threads, initializer=initializer) as pool:
        ahead: deque[Future[U]] = deque()

        def begin(count: int) -> None:
            for item in itertools.islice(remaining, count):
                ahead.append(pool.submit(function, item))

        try:
            begin(num_threads)
            while ahead:
                result = ahead.popleft().result()
                begin(1)
                yield result
        finally:
            for future in ahead:
                future.cancel()
