"""Clips of a whole set from the features of their videos in the stores."""

from collections.abc import Sequence
from itertools import groupby

from mcn.data.batches import ClipBatch, clips_that_lack_all, collate
from mcn.data.clip_source import Places, cut_evenly
from mcn.data.media_reader import MediaReader
from mcn.data.stores import Source, Stores
from mcn.modality import Modality


class StoredClips:
    """Pooled over the rows of each clip; what is read is not left to chance."""

    def __init__(self, reader: MediaReader, places: Places) -> None:
        self.reader = reader
        self.places = places

    @property
    def dims(self) -> dict[Modality, int]:
        """Of the pooled rows."""
        return self.reader.dims

    def read(self, numbers: Sequence[int], *, draw: int | None = None) -> ClipBatch:
        """Clips side by side; neighbours of one video are read together."""
        parts = [clips_that_lack_all(0, self.dims, max_words=0, form=self.reader.form)]
        for video_id, group in groupby(numbers, key=self.places.video_ids.__getitem__):
            start, end = self.places.seconds[list(group)].T
            parts.append(self.reader.read(video_id, start, end))
        return collate(parts, self.reader.form)


def stored_seconds(stores: Stores, source: Source) -> dict[str, float]:
    """How long the rows of each video of a store last, by id."""
    store = stores[source]
    rate = store.rows_per_second
    if rate is None:
        return {}
    return {video_id: store.entry(video_id).num_rows / rate for video_id in store.video_ids}


def clips_with_both(
    reader: MediaReader, *, clip_seconds: float, most_per_video: int
) -> StoredClips:
    """Clips of all videos of which there are picture and sound.

    Raises:
        ValueError: There is no such video.
    """
    heard = stored_seconds(reader.stores, "audio")
    durations = [
        (video_id, min(seconds, heard[video_id]))
        for video_id, seconds in sorted(stored_seconds(reader.stores, "video").items())
        if video_id in heard and reader.has("video", video_id)
    ]
    if not durations:
        raise ValueError(
            f"no video is both in {reader.stores['video'].folder} and in "
            f"{reader.stores['audio'].folder}: run jobs/extract.py for video and audio first"
        )
    return StoredClips(
        reader, cut_evenly(durations, clip_seconds=clip_seconds, most_per_video=most_per_video)
    )
