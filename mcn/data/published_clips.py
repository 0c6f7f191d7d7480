"""The published pickles of evaluation clips: features, sound and sentence of each, no times.

A list of dicts, one a clip, by the fields of which AVLnet and MCN read their benchmarks:

    YouCook2   id, caption, 2d, 3d, audio (and 2d_full, 3d_full, which are not read)
    MSR-VTT    id, eval_caption, 2d_pooled, 3d_pooled, audio (and 2d, 3d, of all rows)

2-D and 3-D features are pooled over the clip already; audio is its log-mel spectrogram, (40,
frames) in dB. Clips are in the order of the file, all of which is held in memory.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mcn.data.clip_form import BANDS, FRAMES_PER_SECOND
from mcn.data.restricted_pickle import load_plain_pickle
from mcn.data.video_id import check_video_id

YOUTUBE_ID_LENGTH = 11


@dataclass(frozen=True, eq=False)
class PublishedClip:
    """A clip as it was evaluated."""

    id: str
    """Of the clip, as far as the file tells: several may share it."""
    text: str
    video: Float[np.ndarray, " dim"] | None
    """2-D features of the whole clip."""
    video_3d: Float[np.ndarray, " dim_3d"] | None
    log_mel: Float[np.ndarray, "frames 40"] | None
    """None where the clip has no sound, as for the others."""

    @property
    def seconds(self) -> float:
        """How long its sound is; without it a second, of which nothing is known."""
        frames = 0 if self.log_mel is None else len(self.log_mel)
        return frames / FRAMES_PER_SECOND if frames else 1.0


def read_published_clips(path: Path) -> list[PublishedClip]:
    """The clips of a published pickle, of YouCook2 or MSR-VTT.

    Raises:
        ValueError: If it is no such file; names the file, and the clip counted from 0.
    """
    content = load_plain_pickle(path)
    if not isinstance(content, list):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a list of clips")
    return [_clip(entry, f"{path}, clip {number}") for number, entry in enumerate(content)]


def clip_ids(clips: list[PublishedClip]) -> list[str]:
    """An id of its own for each: that of the file, and a number behind it where one is shared."""
    shared = {id_ for id_, count in Counter(clip.id for clip in clips).items() if count > 1}
    seen = Counter[str]()
    ids = []
    for clip in clips:
        ids.append(f"{clip.id}.{seen[clip.id]}" if clip.id in shared else clip.id)
        seen[clip.id] += 1
    if len(set(ids)) < len(ids):
        double = next(id_ for id_, count in Counter(ids).items() if count > 1)
        raise ValueError(f"two clips would be called {double!r}")
    return ids


def _clip(entry: Any, where: str) -> PublishedClip:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is a {type(entry).__name__}, not a dict")
    is_msrvtt = "eval_caption" in entry
    kinds = ("2d_pooled", "3d_pooled") if "2d_pooled" in entry else ("2d", "3d")
    video, video_3d = (_pooled(entry, kind, where) for kind in kinds)
    return PublishedClip(
        id=check_video_id(_text(entry, "id", where), where),
        text=_text(entry, "eval_caption" if is_msrvtt else "caption", where),
        video=video,
        video_3d=video_3d,
        log_mel=_log_mel(entry, where),
    )


def _text(entry: Mapping[Any, Any], name: str, where: str) -> str:
    found = entry.get(name)
    if not isinstance(found, str):
        raise ValueError(
            f"{where}: {name} is {found!r}, not one text; training clips, which have several, "
            "are no benchmark"
        )
    return found


def _pooled(entry: Mapping[Any, Any], name: str, where: str) -> Float[np.ndarray, " dim"] | None:
    found = _numbers(entry, name, where)
    if found is not None and (found.ndim != 1 or not len(found)):
        raise ValueError(f"{where}: {name} is of shape {found.shape}, not one row of numbers")
    return found


def _log_mel(entry: Mapping[Any, Any], where: str) -> Float[np.ndarray, "frames 40"] | None:
    found = _numbers(entry, "audio", where)
    if found is None or found.size == 0:
        return None
    if found.ndim != 2 or len(found) != BANDS:
        raise ValueError(f"{where}: audio is of shape {found.shape}, not ({BANDS}, frames)")
    return found.T


def _numbers(entry: Mapping[Any, Any], name: str, where: str) -> np.ndarray | None:
    found = entry.get(name)
    if found is None:
        return None
    if not isinstance(found, np.ndarray | list):
        raise ValueError(f"{where}: {name} is a {type(found).__name__}, not an array of numbers")
    numbers = np.asarray(found)
    if numbers.dtype.kind not in "fiu":
        raise ValueError(f"{where}: {name} holds what is no number")
    return numbers
