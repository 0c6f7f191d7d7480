"""Says why clips could not be read: once of each video, on the terminal or in the log of a job."""

import sys

from mcn.data.batches import ClipBatch


class UnreadVideos:
    """Remembers of which videos this process has said so."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, batch: ClipBatch) -> None:
        for video_id, why in batch.unread.items():
            if video_id not in self._said:
                self._said.add(video_id)
                print(f"{video_id}: clips of it count as lacking: {why}", file=sys.stderr)
