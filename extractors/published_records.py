"""The features of published evaluation clips as records of the store, each clip as a video."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcn.data.clip_form import BANDS, FRAMES_PER_SECOND
from mcn.data.published_clips import PublishedClip
from mcn.data.stores import Source
from mcn.store.exchange.importing import IMPORTED, UNKNOWN_WEIGHTS, failed_record
from mcn.store.fingerprint import Fingerprint
from mcn.store.layout import FEATURE_DTYPE
from mcn.store.record import Record, all_finite

ROWS_PER_SECOND: dict[Source, float] = {
    "video": 1.0,
    "video-3d": 1.0,
    "audio": FRAMES_PER_SECOND,
}
"""The row of a pooled clip begins with it, and there is no other."""


class PublishedRecords:
    """One source of all clips; rows are rounded to float16, as in every store."""

    def __init__(
        self, source: Source, clips: Mapping[str, PublishedClip], file_sha256: str
    ) -> None:
        """Takes clips by their ids, and the hash of the pickle that they are from."""
        self.clips = clips
        self.source = source
        self.fingerprint = Fingerprint(
            f"published-clips-{source}",
            UNKNOWN_WEIGHTS,
            self._dim(),
            ROWS_PER_SECOND[source],
            {"origin": IMPORTED, "file_sha256": file_sha256},
        )
        self.provenance: dict[str, str | int | float] = {"origin": IMPORTED}

    def records(self, clip_ids: Iterable[str]) -> Iterator[Record]:
        """Of clips in the order given; those that are not in the file have failed."""
        for clip_id in clip_ids:
            rows = self._rows(clip_id)
            reason = self._problem(clip_id, rows)
            if rows is None or reason:
                yield failed_record(clip_id, reason, self.fingerprint)
            else:
                yield Record(clip_id, "done", "", 1.0, rows)

    def _rows(self, clip_id: str) -> NDArray[Any] | None:
        """As (rows, dim)."""
        found = self._found(self.clips.get(clip_id))
        if found is None:
            return None
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(np.atleast_2d(found), FEATURE_DTYPE)

    def _problem(self, clip_id: str, rows: NDArray[Any] | None) -> str:
        if clip_id not in self.clips:
            return "not-in-file"
        if rows is None:
            return "no-audio" if self.source == "audio" else "missing"
        if rows.shape[1] != self.fingerprint.dim:
            return "other-dim"
        return "" if all_finite(rows) else "not-finite"

    def _found(self, clip: PublishedClip | None) -> NDArray[Any] | None:
        if clip is None:
            return None
        return {"video": clip.video, "video-3d": clip.video_3d, "audio": clip.log_mel}[self.source]

    def _dim(self) -> int:
        """That of the first clip which has any."""
        if self.source == "audio":
            return BANDS
        widths = (len(row) for row in map(self._found, self.clips.values()) if row is not None)
        return next(widths, 1)
