"""How long to wait between two looks: ever longer while nothing changes.

With a look at 0, 15, 45 and 105 s and then every 120 s, an hour in which nothing changes takes 33
calls of squeue and at most 3 of sacct.
"""

SHORTEST_SECONDS = 15.0
LONGEST_SECONDS = 120.0


class Pace:
    """The wait before the next look."""

    def __init__(self) -> None:
        self._seen: object = None
        self._seconds = LONGEST_SECONDS

    def seconds_to_wait(self, seen: object) -> float:
        """Twice as long as before where the same was seen again, else short.

        Args:
            seen: What the last look showed, comparable.
        """
        is_same = seen == self._seen
        self._seen = seen
        self._seconds = min(2 * self._seconds, LONGEST_SECONDS) if is_same else SHORTEST_SECONDS
        return self._seconds
