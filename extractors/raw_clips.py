"""Clips of a whole set from the resized videos themselves: pictures, and log-mel spectrograms.

A clip is seen and heard over the same seconds. Its spectrogram is relative to its own loudest
moment. A file that cannot be read costs its clips what could not be read of them and nothing else:
the batch says which, and why. The files were made and checked by resizing, so they are decoded in
the process that reads, without a sandbox.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import av
import numpy as np
import torch
from jaxtyping import Float16, UInt8

from extractors.audio import HOP_SAMPLES, SAMPLE_RATE
from extractors.corpus import ResizedVideos
from extractors.media import MediaError, open_media
from extractors.raw_clip import RawClip, read_clip
from extractors.readable import read_to_end
from mcn.data.batches import ClipBatch, numbers_of_videos
from mcn.data.clip_form import BANDS, SILENCE_DB
from mcn.data.clip_source import Places
from mcn.data.picture_form import PictureForm, View, view_of
from mcn.modality import Modality

COLOURS = 3

OF_THE_FILE = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    av.error.FFmpegError,
    ValueError,
    ArithmeticError,
)
"""What one bad file may raise, beside MediaError: it is not there, or no sense can be made of it.
"""


class RawClips:
    """Pictures as bytes in the form asked for, spectrograms all of one length."""

    def __init__(self, videos: ResizedVideos, places: Places, form: PictureForm) -> None:
        """Takes the videos, the clips in them, and how they are seen.

        Raises:
            ValueError: The sound of the videos is not what spectrograms are made of.
        """
        rate = videos.rule["sample_rate"]
        if rate != SAMPLE_RATE:
            raise ValueError(
                f"{videos.folder} has sound of {rate} samples a second, and log-mel spectrograms "
                f"are made of {SAMPLE_RATE}: resize into another --root with that rate"
            )
        self.videos = videos
        self.places = places
        self.form = form
        longest_seconds = float(np.diff(places.seconds).max())
        # Either end is rounded to a sample, so that a clip may have one more than it is long.
        self.most_frames = (round(longest_seconds * SAMPLE_RATE) + 1) // HOP_SAMPLES + 1

    @property
    def dims(self) -> dict[Modality, int]:
        """Colours of a picture, and bands of a spectrogram."""
        return {"video": COLOURS, "audio": BANDS}

    def read(self, numbers: Sequence[int], *, draw: int | None = None) -> ClipBatch:
        """Clips side by side; the file of neighbours of one video is opened once."""
        views = [view_of(self.form, number=number, draw=draw) for number in numbers]
        seconds = [self._seconds(*pair) for pair in zip(numbers, views, strict=True)]
        video_ids = [self.places.video_ids[number] for number in numbers]
        clips: list[RawClip] = []
        for video_id, places in groupby(range(len(numbers)), key=video_ids.__getitem__):
            clips += self._of_video(video_id, [(*seconds[k], views[k]) for k in places])
        has_video = torch.tensor([clip.pictures is not None for clip in clips], dtype=torch.bool)
        lengths = [0 if (one := clip.spectrogram) is None else len(one) for clip in clips]
        audio_frames = torch.tensor(lengths, dtype=torch.int64)
        unread = [(v, clip) for v, clip in zip(video_ids, clips, strict=True) if clip.problem]
        num_clips = len(numbers)
        return ClipBatch(
            video_ids=video_ids,
            video_numbers=numbers_of_videos(video_ids),
            seconds=torch.tensor(seconds, dtype=torch.float64).reshape(num_clips, 2),
            video=torch.from_numpy(self._seen(clips)),
            audio=torch.from_numpy(self._heard(clips)),
            audio_frames=audio_frames,
            words=torch.zeros(num_clips, 0, dtype=torch.int32),
            is_word=torch.zeros(num_clips, 0, dtype=torch.bool),
            has={
                "video": has_video,
                "audio": audio_frames > 0,
                "text": torch.zeros(num_clips, dtype=torch.bool),
            },
            kept_out={
                "video": Counter(v for v, clip in unread if clip.pictures is None),
                "audio": Counter(v for v, clip in unread if clip.spectrogram is None),
                "text": {},
            },
            unread={video_id: clip.problem for video_id, clip in unread},
        )

    def _seconds(self, number: int, view: View) -> tuple[float, float]:
        """From when to when a clip is read, inside its video."""
        start, end = self.places.seconds[number].tolist()
        latest = self.videos.seconds[self.places.video_ids[number]] - (end - start)
        shifted = max(0.0, min(start + view.late_seconds, latest))
        return shifted, shifted + (end - start)

    def _of_video(
        self, video_id: str, wanted: Sequence[tuple[float, float, View]]
    ) -> list[RawClip]:
        """Clips of one file; those that are still to be read when it fails have nothing.

        Raises:
            OSError: It is the storage that fails, and not this file.
        """
        clips: list[RawClip] = []
        try:
            with open_media(self.videos.path(video_id)) as container:
                for start, end, view in wanted:
                    clips.append(read_clip(container, start, end, self.form, view))
        except (MediaError, *OF_THE_FILE) as error:
            clips += [RawClip(None, None, str(error))] * (len(wanted) - len(clips))
        except OSError as error:
            raise self._outage(error) from error
        if any(clip.problem for clip in clips):
            self._check_storage(video_id)
        return clips

    def _check_storage(self, video_id: str) -> None:
        """Raises OSError if it is to blame: FFmpeg takes an outage for damage to the file."""
        try:
            read_to_end(self.videos.folder / f"{video_id}.mp4")
        except OF_THE_FILE:
            if not self.videos.folder.is_dir():
                raise self._outage("there is no such folder") from None
        except OSError as error:
            raise self._outage(error) from error

    def _outage(self, problem: object) -> OSError:
        return OSError(
            f"the storage of {self.videos.folder} fails ({problem}), which is no fault of a video: "
            "the same command carries on when it can be read again"
        )

    def _seen(self, clips: Sequence[RawClip]) -> UInt8[np.ndarray, "clips pictures high wide 3"]:
        """Black where there is nothing."""
        crop = self.form.picture_crop
        stacked = np.zeros((len(clips), self.form.clip_frames, crop, crop, COLOURS), np.uint8)
        for place, clip in zip(stacked, clips, strict=True):
            if clip.pictures is not None:
                place[:] = clip.pictures
        return stacked

    def _heard(self, clips: Sequence[RawClip]) -> Float16[np.ndarray, "clips 40 frames"]:
        """Padded with silence to one length, so that a clip is the same among whatever others."""
        stacked = np.full((len(clips), BANDS, self.most_frames), SILENCE_DB, np.float16)
        for place, clip in zip(stacked, clips, strict=True):
            if clip.spectrogram is not None:
                place[:, : len(clip.spectrogram)] = clip.spectrogram.T
        return stacked
