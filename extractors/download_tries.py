"""A video is asked for several times with ever longer waits, and not at all during a pause."""

import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from extractors.download import (
    DownloadConfig,
    Downloaded,
    StoppedError,
    Warnings,
    download_video,
)
from extractors.download_errors import BlockedError, VideoFailedError
from extractors.download_pause import Pause
from mcn.stop import StopRequest

_MOST_NAME_BYTES = 255
_LONGEST_SUFFIX = ".webm"
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Fetched:
    """What is known of a video after all tries."""

    result: Downloaded | VideoFailedError
    num_tries: int


class Downloader:
    """Downloads one video after the other."""

    def __init__(self, config: DownloadConfig, pause: Pause, stop: StopRequest) -> None:
        self._config = config
        self._pause = pause
        self._stop = stop
        self._warnings = Warnings()
        self._num_blocks: Counter[str] = Counter()
        self._has_asked = False

    def download(self, video_id: str, folder: Path) -> Fetched | None:
        """What became of the video; None where nothing is known yet: ask again after the others.

        So it is where the site has blocked, which begins a pause, or a stop came first.

        Args:
            video_id: Its file may come to be named so.
            folder: The video's own, where its file or parts of it are.

        Raises:
            StillBlockedError: Pauses do not help.
            OSError: This machine cannot write.
        """
        if len(os.fsencode(video_id + _LONGEST_SUFFIX)) > _MOST_NAME_BYTES:
            return Fetched(VideoFailedError("name", "too long for a file's name"), 0)
        config = self._config
        if self._has_asked:
            self._sleep(config.seconds_between_videos)
        self._has_asked = True
        failure: VideoFailedError | None = None
        for number in range(1, config.tries + 1):
            self._sleep(config.seconds_before(number))
            self._pause.wait()
            if self._stop.is_set:
                return None
            began_at = time.time()
            try:
                video = download_video(video_id, folder, config, self._warnings, self._stop)
            except StoppedError:
                return None
            except BlockedError as error:
                self._pause.begin(error, began_at)
                # A site may say so of a single video, and always.
                self._num_blocks[video_id] += 1
                if self._num_blocks[video_id] <= config.max_pauses:
                    return None
                failure = VideoFailedError("blocked", str(error))
                break
            except VideoFailedError as error:
                failure = error
                if error.kind == "permanent":
                    break
            else:
                self._pause.end(began_at)
                return Fetched(video, number)
        assert failure is not None
        return Fetched(failure, number)

    def _sleep(self, mean_seconds: float) -> None:
        """Up to half of it more or less, so that tasks do not ask in step; less at a stop."""
        end = time.monotonic() + mean_seconds * random.uniform(0.5, 1.5)
        while (left := end - time.monotonic()) > 0 and not self._stop.is_set:
            time.sleep(min(left, _LOOK_SECONDS))
