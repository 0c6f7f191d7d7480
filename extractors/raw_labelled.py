"""Clips of labelled videos from the resized videos themselves, and why videos have none."""

from dataclasses import asdict

from extractors.corpus import ResizedVideos, resize_ledger
from extractors.raw_clips import RawClips
from mcn.data.clip_source import cut_evenly
from mcn.data.labelled_videos import LabelledVideos
from mcn.data.ledger import Outcome, read_ledger
from mcn.data.picture_form import PictureForm
from mcn.modality import Modality
from mcn.probes.labelled_clips import LabelledClips, digest_of
from mcn.root import Root

NOT_RESIZED = "not-resized"
"""Of a video of which resizing knows nothing."""
NO_AUDIO = "no-audio"


def raw_clips(
    root: Root,
    labelled: LabelledVideos,
    modalities: tuple[Modality, ...],
    form: PictureForm,
    *,
    clip_seconds: float,
    most_per_video: int,
) -> LabelledClips:
    """Clips of all videos that were resized, and that have sound where that is looked at.

    Args:
        root: The folder of the benchmark.
        labelled: Its videos.
        modalities: What is looked at.
        form: In which pictures are taken.
        clip_seconds: Length of a clip; a shorter video is one clip.
        most_per_video: Clips of a video at most.

    Raises:
        FileNotFoundError: Nothing has been resized there.
        ValueError: No video can be used.
    """
    videos, outcomes = ResizedVideos.below(root), read_ledger(resize_ledger(root))
    missing = {
        video_id: reason
        for video_id in sorted(labelled.labels)
        if (reason := _lacks(outcomes.get(video_id), modalities))
    }
    usable = [video_id for video_id in sorted(labelled.labels) if video_id not in missing]
    if not usable:
        raise ValueError(
            f"none of {len(labelled.labels)} labelled videos in {root.resized} has "
            f"{' and '.join(modalities)}: jobs/resize.py makes them"
        )
    durations = [(video_id, outcomes[video_id].seconds) for video_id in usable]
    places = cut_evenly(durations, clip_seconds=clip_seconds, most_per_video=most_per_video)
    read = {
        "rule": videos.rule,
        "form": asdict(form),
        "clips": [places.video_ids, places.seconds.tolist()],
        "missing": missing,
    }
    return LabelledClips(
        RawClips(videos, places, form), missing, is_fixed=False, digest=digest_of(read)
    )


def _lacks(outcome: Outcome | None, modalities: tuple[Modality, ...]) -> str:
    """Why a video cannot be used; nothing, where it can."""
    if outcome is None:
        return NOT_RESIZED
    if outcome.status != "done":
        return outcome.reason
    return NO_AUDIO if "audio" in modalities and not outcome.has_audio else ""
