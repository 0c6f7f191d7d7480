"""What happens when in each video of the corpus, before anything is drawn or said."""

import base64
import hashlib
import math
from dataclasses import dataclass

import numpy as np

from extractors.demo.config import GROUPS, CorpusConfig
from extractors.demo.dice import dice
from extractors.demo.world import (
    ACTIONS,
    BEATS_PER_SECOND,
    Deed,
    held_out_deeds,
    training_deeds,
)

STEPS_PER_YOUCOOK2_VIDEO = 5
CLIP_SECONDS = 4.0
CLASS_CLIP_SECONDS = 2.0
FIRST_MSRVTT_NUMBER = 7010
YOUTUBE_ID_ENDINGS = "AEIMQUYcgkosw048"
"""An id codes 64 bits in 11 characters of 6 bits, so the last has only these values."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One deed and its time in the video."""

    deed: Deed
    start_seconds: float
    end_seconds: float
    tempo: float
    """How fast this cook works; 1 is the action's usual speed."""

    @property
    def beats_per_second(self) -> float:
        return BEATS_PER_SECOND[self.deed.action] * self.tempo


@dataclass(frozen=True, kw_only=True)
class Story:
    """The steps of one video, in order."""

    video_id: str
    steps: tuple[Step, ...]
    duration_seconds: float


def youtube_id(seed: int, name: str, *, dashed: bool = False) -> str:
    """Eleven characters as YouTube would choose them; `dashed` makes the first one a dash."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    code = base64.urlsafe_b64encode(digest[:8]).decode()[:10]
    ending = YOUTUBE_ID_ENDINGS[digest[8] % len(YOUTUBE_ID_ENDINGS)]
    return ("-" + code[1:] if dashed else code) + ending


def _steps(
    deeds: list[Deed], boundaries: list[float], random: np.random.Generator
) -> tuple[Step, ...]:
    return tuple(
        Step(deed=deed, start_seconds=start, end_seconds=end, tempo=random.uniform(0.85, 1.2))
        for deed, start, end in zip(deeds, boundaries[:-1], boundaries[1:], strict=True)
    )


def training_story(config: CorpusConfig, index: int, *, dashed: bool = False) -> Story:
    """Five to seven steps in 20 to 25 s, after a moment of greeting.

    Videos deal the shuffled deeds among themselves, so that all are shown about equally often.
    """
    video_id = youtube_id(config.seed, f"training {index}", dashed=dashed)
    random = dice(config.seed, "story", video_id)
    deeds = training_deeds(config.seed)
    num_steps = int(random.integers(5, 8))
    chosen = [deeds[(7 * index + k) % len(deeds)] for k in range(num_steps)]
    duration = random.uniform(20.2, 25.0)
    greeting, farewell = random.uniform(0.4, 1.2), random.uniform(0.2, 0.6)
    shares = random.uniform(0.85, 1.15, num_steps)
    ends = greeting + (duration - greeting - farewell) * np.cumsum(shares) / shares.sum()
    steps = _steps(chosen, [greeting, *ends.tolist()], random)
    return Story(video_id=video_id, steps=steps, duration_seconds=duration)


def youcook2_stories(config: CorpusConfig) -> list[Story]:
    """Held-out videos of five steps of about 4 s each."""
    deeds = held_out_deeds(config.seed, "youcook2")
    stories = []
    for index in range(math.ceil(config.benchmark_clips / STEPS_PER_YOUCOOK2_VIDEO)):
        first = index * STEPS_PER_YOUCOOK2_VIDEO
        num_steps = min(STEPS_PER_YOUCOOK2_VIDEO, config.benchmark_clips - first)
        video_id = youtube_id(config.seed, f"youcook2 {index}")
        random = dice(config.seed, "story", video_id)
        jitter = random.uniform(-0.3, 0.3, num_steps - 1)
        inner = CLIP_SECONDS * np.arange(1, num_steps) + jitter
        duration = CLIP_SECONDS * num_steps
        chosen = [deeds[(first + k) % len(deeds)] for k in range(num_steps)]
        steps = _steps(chosen, [0.0, *inner.tolist(), duration], random)
        stories.append(Story(video_id=video_id, steps=steps, duration_seconds=duration))
    return stories


def msrvtt_stories(config: CorpusConfig) -> list[Story]:
    """Held-out videos of a single step of about 4 s."""
    deeds = held_out_deeds(config.seed, "msrvtt")
    stories = []
    for index in range(config.benchmark_clips):
        video_id = f"video{FIRST_MSRVTT_NUMBER + index}"
        random = dice(config.seed, "story", video_id)
        duration = CLIP_SECONDS + random.uniform(-0.3, 0.3)
        steps = _steps([deeds[index % len(deeds)]], [0.0, duration], random)
        stories.append(Story(video_id=video_id, steps=steps, duration_seconds=duration))
    return stories


def ucf101_stories(config: CorpusConfig) -> list[Story]:
    """Held-out videos of a single step of about 2 s, of all groups of an action side by side.

    Clips of a group are of the same deed.
    """
    deeds = held_out_deeds(config.seed, "ucf101")
    by_action = {action: [deed for deed in deeds if deed.action == action] for action in ACTIONS}
    stories = []
    for index in range(config.class_clips):
        place, group = divmod(index, GROUPS)
        clip, place = divmod(place, len(ACTIONS))
        action = ACTIONS[place]
        video_id = f"v_{action.capitalize()}_g{group + 1:02d}_c{clip + 1:02d}"
        random = dice(config.seed, "story", video_id)
        duration = CLASS_CLIP_SECONDS + random.uniform(0.05, 0.3)
        steps = _steps([by_action[action][group]], [0.0, duration], random)
        stories.append(Story(video_id=video_id, steps=steps, duration_seconds=duration))
    return stories
