"""The sound of a story: what is done, what is said in tones that code the words, and noise."""

import numpy as np
from jaxtyping import Float32

from extractors.demo.dice import dice
from extractors.demo.narration import Utterance
from extractors.demo.stories import Step, Story
from extractors.demo.world import ITEMS

Samples = Float32[np.ndarray, " samples"]

SPEECH_LEVEL = 0.16
ACTION_LEVEL = 0.22

# Of each action: how long one beat sounds, how much of it is noise, the pitch of the rest as a
# multiple of the item's, and how the pitch moves during the beat.
TIMBRES = {
    "chop": (0.07, 0.7, 1.0, 0.5),
    "peel": (0.35, 0.9, 4.0, 2.0),
    "stir": (0.80, 0.2, 1.5, 1.3),
    "pour": (0.20, 0.6, 2.0, 1.8),
    "fry": (0.25, 1.0, 6.0, 1.0),
    "roll": (1.10, 0.4, 0.4, 0.9),
    "grate": (0.20, 0.8, 3.0, 0.7),
    "boil": (0.12, 0.1, 1.2, 2.5),
}


def soundtrack(
    story: Story, utterances: list[Utterance], *, seed: int, sample_rate: int
) -> Samples:
    """The whole track in mono, within -1 and 1."""
    random = dice(seed, "sound", story.video_id)
    num_samples = round(story.duration_seconds * sample_rate)
    hiss = random.uniform(0.004, 0.03)
    track = (hiss * random.standard_normal(num_samples)).astype(np.float32)
    for step in story.steps:
        _lay(track, _deed(step, random, sample_rate), step.start_seconds, sample_rate)
    for utterance in utterances:
        share = (utterance.end_seconds - utterance.start_seconds) / max(1, len(utterance.words))
        for place, word in enumerate(utterance.words):
            tones = spoken_word(word, min(share, 0.3), sample_rate)
            _lay(track, tones, utterance.start_seconds + place * share, sample_rate)
    return np.clip(track, -1, 1)


def spoken_word(word: str, seconds: float, sample_rate: int) -> Samples:
    """Two chords one after the other: the same word always sounds the same."""
    random = dice(0, "word", word)
    halves = []
    for pitches in random.uniform(np.log(250), np.log(4000), (2, 3)):
        times = np.arange(int(seconds / 2 * sample_rate)) / sample_rate
        waves = np.sin(2 * np.pi * np.exp(pitches)[:, None] * times)
        halves.append(waves.mean(axis=0) * _fade(len(times)))
    return (SPEECH_LEVEL * np.concatenate(halves)).astype(np.float32)


def _deed(step: Step, random: np.random.Generator, sample_rate: int) -> Samples:
    """A beat of the action's timbre at the item's pitch, again and again."""
    seconds, noise_share, pitch, glide = TIMBRES[step.deed.action]
    hertz = 130 * 2 ** (ITEMS.index(step.deed.item) / 3) * pitch
    length = step.end_seconds - step.start_seconds
    deed = np.zeros(round(length * sample_rate), np.float32)
    times = np.arange(int(seconds * sample_rate)) / sample_rate
    sweep = hertz * (times + (glide - 1) * times**2 / (2 * seconds))
    envelope = np.exp(-3 * times / seconds)
    for beat in np.arange(0.05, length, 1 / step.beats_per_second):
        tone = np.sin(2 * np.pi * sweep)
        noise = random.standard_normal(len(times))
        loudness = ACTION_LEVEL * random.uniform(0.7, 1.0)
        sound = loudness * envelope * ((1 - noise_share) * tone + noise_share * 0.5 * noise)
        _lay(deed, sound.astype(np.float32), beat, sample_rate)
    return deed


def _lay(
    track: Samples, sound: Float32[np.ndarray, " fewer"], start_seconds: float, sample_rate: int
) -> None:
    first = round(start_seconds * sample_rate)
    room = track[first : first + len(sound)]
    room += sound[: len(room)]


def _fade(num_samples: int) -> Float32[np.ndarray, " samples"]:
    return np.hanning(num_samples + 2)[1:-1].astype(np.float32)
