"""All tasks of a download leave a site alone for a while when it blocks one of them.

A file says so, which every task looks at before each video. The pauses get longer as long as the
site goes on blocking, and the file goes when a video has come again. Whoever knows better removes
it, and all carry on at once.
"""

import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from extractors.download import DownloadConfig
from extractors.download_errors import BlockedError
from extractors.publish import publish
from mcn.stop import StopRequest

_LOOK_SECONDS = 1.0
_SPREAD = 0.1


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What the file says."""

    since: float
    """Seconds since 1970."""
    seconds: float
    number: int
    """How many pauses there have been on end."""
    why: str

    @property
    def until(self) -> float:
        return self.since + self.seconds


class StillBlockedError(ConnectionError):
    """Pauses do not help."""


class Pause:
    """The pause that the tasks of one download share."""

    def __init__(self, path: Path, config: DownloadConfig, stop: StopRequest) -> None:
        self.path = path
        self._config = config
        self._stop = stop
        self._served: Notice | None = None

    def wait(self) -> None:
        """Returns when there is no pause, or none any more, or at a stop."""
        while not self._stop.is_set and (notice := self._read()) not in (None, self._served):
            assert notice is not None
            # Not longer than it promises, should the clock of another machine be ahead.
            left = min(notice.until - time.time(), notice.seconds)
            if left > 0:
                print(f"{self.path}: waiting {left:.0f} s: {notice.why}", file=sys.stderr)
                # Not all at the same moment.
                self._sleep_through(notice, left + random.uniform(0, _SPREAD * notice.seconds))
            self._served = notice

    def begin(self, error: BlockedError, began_at: float) -> None:
        """Let all pause, because a try that began at `began_at` was blocked.

        Raises:
            StillBlockedError: There have been as many pauses on end as there may be.
        """
        config, before, now = self._config, self._read(), time.time()
        if before is not None and began_at < before.until:
            return  # another task has met the same block
        # A pause that was over long ago has helped, even if no video came after it.
        is_on_end = before is not None and now < before.until + config.max_pause_seconds
        number = before.number + 1 if before is not None and is_on_end else 1
        if number > config.max_pauses:
            raise StillBlockedError(
                f"still blocked after {config.max_pauses} pauses ({error}): launch again later, or "
                f"with other cookies or another proxy and without {self.path}"
            )
        seconds = max(config.pause_seconds * 2 ** (number - 1), error.retry_after_seconds or 0)
        self._write(
            Notice(
                since=now,
                seconds=min(seconds, config.max_pause_seconds),
                number=number,
                why=f"blocked by the site ({error})",
            )
        )

    def end(self, began_at: float) -> None:
        """A video came, asked for at `began_at`: the site blocks no more, if it did before that."""
        notice = self._read()
        if notice is not None and began_at >= notice.until:
            self.path.unlink(missing_ok=True)

    def _sleep_through(self, notice: Notice, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._read() == notice:
            if self._stop.is_set:
                return
            time.sleep(min(left, _LOOK_SECONDS))

    def _read(self) -> Notice | None:
        try:
            return Notice(**json.loads(self.path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):  # damaged is as good as gone
            return None

    def _write(self, notice: Notice) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f"{self.path.name}.{os.uname().nodename}.{os.getpid()}.tmp")
        aside.write_text(json.dumps(asdict(notice)) + "\n")
        publish(aside, self.path)
