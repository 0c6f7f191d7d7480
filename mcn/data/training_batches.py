"""The batch of every step of a run, decided by the seed and the step's number alone.

To resume is therefore to ask for the next number; with more or fewer ranks each takes another
share of the same batches.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int32
from torch.utils.data import Dataset

from mcn.choices import AudioWindow, ClipDraws
from mcn.data.audio_window import audio_end, lose_sound_at_start
from mcn.data.batches import NO_WORD, ClipBatch, Clips, clips_that_lack_all, collate
from mcn.data.clip_reader import ClipReader
from mcn.data.clips import grow_caption_range, nearest_captions


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How clips are drawn from videos."""

    seed: int
    batch_size: int
    clips_per_video: int
    min_clip_seconds: float
    max_words: int
    shuffled_captions: bool
    clip_draws: ClipDraws = "distinct"
    audio_window: AudioWindow = "clip"
    candidates: int = 1
    """Captions that may describe a clip: its own, and those nearest to it in time."""


class TrainingBatches(Dataset[ClipBatch]):
    """Item `step` is this rank's share of the global batch of that step."""

    def __init__(
        self, reader: ClipReader, sampling: Sampling, *, rank: int = 0, world_size: int = 1
    ) -> None:
        self.reader = reader
        self.sampling = sampling
        self.rank = rank
        self.world_size = world_size
        self.video_ids = sorted(
            video_id
            for video_id in reader.stores["text"].video_ids
            if reader.has("video", video_id) or reader.has("audio", video_id)
        )
        if not self.video_ids:
            raise ValueError(
                "no video has captions and features: run jobs/extract.py for all modalities first"
            )
        self.captions_of = dict(zip(self.video_ids, self.video_ids, strict=True))
        if sampling.shuffled_captions:
            self.captions_of = derangement(self.video_ids, seed=sampling.seed)
        self._order = (-1, np.empty(0, np.int64))

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.video_ids) // self.sampling.batch_size)

    def __getitem__(self, step: int) -> ClipBatch:
        epoch, index = divmod(step, self.steps_per_epoch)
        first = index * self.sampling.batch_size
        places = self._epoch_order(epoch)[first : first + self.sampling.batch_size]
        mine = np.array_split(places, self.world_size)[self.rank]
        none = clips_that_lack_all(
            0,
            self.reader.dims,
            max_words=self.sampling.max_words,
            form=self.reader.form,
            candidates=self.sampling.candidates,
        )
        clips = [self._clips(self.video_ids[place], epoch) for place in mine]
        return collate(clips or [none], self.reader.form)

    def _epoch_order(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            generator = np.random.default_rng([self.sampling.seed, epoch])
            self._order = (epoch, generator.permutation(len(self.video_ids)))
        return self._order[1]

    def _clips(self, video_id: str, epoch: int) -> Clips:
        """Clips around captions, each grown to its least length."""
        source = self.captions_of[video_id]
        spans = self.reader.stores["text"].spans(source)
        starts, ends = spans["start_seconds"].tolist(), spans["end_seconds"].tolist()
        own_seed = [self.sampling.seed, epoch, zlib.crc32(video_id.encode())]
        captions = sorted(self._draw(len(spans), np.random.default_rng(own_seed)).tolist())
        ranges = [
            grow_caption_range(starts, ends, caption, min_seconds=self.sampling.min_clip_seconds)
            for caption in captions
        ]
        clips = self._read(
            video_id,
            np.array([starts[first] for first, _ in ranges]),
            np.array([ends[stop - 1] for _, stop in ranges]),
            self.reader.caption_words(source, ranges, max_words=self.sampling.max_words),
        )
        if self.sampling.candidates == 1:
            return clips
        near = [
            nearest_captions(starts, ends, own, number=self.sampling.candidates - 1)
            for own in ranges
        ]
        told = [[*of_clip, *range(*own)] for of_clip, own in zip(near, ranges, strict=True)]
        reach = [(min(starts[c] for c in of), max(ends[c] for c in of)) for of in told]
        return replace(
            clips,
            other_words=self._words_near(source, near),
            told_seconds=np.array(reach, np.float64).reshape(len(ranges), 2),
        )

    def _words_near(
        self, source: str, near: Sequence[Sequence[int]]
    ) -> Int32[np.ndarray, "clips others words"]:
        """Single captions near each clip; no word where there are no more."""
        number, max_words = self.sampling.candidates - 1, self.sampling.max_words
        captions = [(caption, caption + 1) for of_clip in near for caption in of_clip]
        words = np.full((len(near), number, max_words), NO_WORD, np.int32)
        is_there = np.arange(number) < np.array([len(of_clip) for of_clip in near])[:, None]
        words[is_there] = self.reader.caption_words(source, captions, max_words=max_words)
        return words

    def _draw(self, num_captions: int, generator: np.random.Generator) -> np.ndarray:
        most = self.sampling.clips_per_video
        if self.sampling.clip_draws == "repeated":
            return generator.choice(num_captions, size=most if num_captions else 0)
        return generator.permutation(num_captions)[:most]

    def _read(
        self,
        video_id: str,
        starts: Float[np.ndarray, " clips"],
        ends: Float[np.ndarray, " clips"],
        words: Int32[np.ndarray, "clips words"],
    ) -> Clips:
        window = self.sampling.audio_window
        heard_until = audio_end(starts, ends, window)
        clips = self.reader.read(video_id, starts, ends, words, audio_end_seconds=heard_until)
        return lose_sound_at_start(clips) if window == "published" else clips


def derangement(video_ids: list[str], *, seed: int) -> dict[str, str]:
    """Each video paired with another one, every one used once: a single cycle through them all."""
    if len(video_ids) < 2:
        raise ValueError("captions cannot be exchanged between fewer than two videos")
    # A stream of its own, so that the control differs from its row in nothing but the captions.
    order = np.random.default_rng([seed, 0x5EED]).permutation(len(video_ids))
    shuffled = [video_ids[place] for place in order]
    return dict(zip(shuffled, shuffled[1:] + shuffled[:1], strict=True))
