"""Clips of labelled videos, and the videos that have none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from mcn.data.clip_form import ClipForm
from mcn.data.clip_source import ClipSource, cut_evenly
from mcn.data.labelled_videos import LabelledVideos
from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import StoredClips, stored_seconds
from mcn.data.stores import Stores
from mcn.modality import Modality
from mcn.probes.held_clips import HeldClips
from mcn.probes.settings import ProbeSettings
from mcn.probes.sides import TooFewClassesError
from mcn.store.layout import canonical_json

NOT_EXTRACTED = "not-extracted"
"""Of a video that no shard knows of."""


@dataclass(frozen=True)
class LabelledClips:
    """What is there of the videos of an annotation."""

    source: ClipSource
    missing: Mapping[str, str]
    """Why videos have no clip."""
    is_fixed: bool
    """Whether a clip is the same whenever it is read, and held in memory from then on."""
    digest: str
    """Of what they are read from."""


def stored_clips(
    stores: Stores,
    form: ClipForm,
    labelled: LabelledVideos,
    modalities: tuple[Modality, ...],
    settings: ProbeSettings,
) -> LabelledClips:
    """Clips of all videos that have features of each of these modalities.

    Raises:
        TooFewClassesError: No video has.
    """
    reader = MediaReader(stores, form)
    sources = [
        source
        for modality in modalities
        for source in (reader.sources_of_video if modality == "video" else ("audio",))
    ]
    lengths = [stored_seconds(stores, source) for source in sources]
    reasons = [dict(stores[source].failures()) for source in sources]
    durations, missing = [], {}
    for video_id in sorted(labelled.labels):
        if all(video_id in seconds for seconds in lengths):
            durations.append((video_id, min(seconds[video_id] for seconds in lengths)))
        else:
            lacking = next(at for at, seconds in enumerate(lengths) if video_id not in seconds)
            missing[video_id] = reasons[lacking].get(video_id, NOT_EXTRACTED)
    if not durations:
        folders = " and ".join(str(stores[source].folder) for source in sources)
        raise TooFewClassesError(
            f"none of {len(labelled.labels)} labelled videos is in {folders}: jobs/resize.py and "
            "jobs/extract.py make their features"
        )
    places = cut_evenly(
        durations,
        clip_seconds=settings.clip_seconds,
        most_per_video=settings.clips_per_video,
    )
    made_by = {source: stores[source].fingerprint.digest() for source in sources}
    read = {"made by": made_by, "seconds": durations, "missing": missing}
    return LabelledClips(
        HeldClips(StoredClips(reader, places)), missing, is_fixed=True, digest=digest_of(read)
    )


def digest_of(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """SHA-256 of plain values, in hexadecimal digits."""
    return sha256(canonical_json(value).encode()).hexdigest()
