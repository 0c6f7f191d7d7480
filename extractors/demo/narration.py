"""What is said in a video, what speech recognition makes of it, and the benchmarks' sentences."""

from dataclasses import dataclass

import numpy as np

from extractors.demo.dice import dice
from extractors.demo.stories import Step, Story
from extractors.demo.world import Deed

SAID = (
    "now we {action} the {colour} {item}",
    "go ahead and {action} your {colour} {item}",
    "take the {colour} {item} and {action} it",
    "next you {action} this {colour} {item} like that",
    "i always {action} the {colour} {item} first",
)
"""How cooks say what they do."""

DESCRIBED = {
    "youcook2": (
        "{action} the {item} that is {colour}",
        "{colour} {item} first and {action} it now",
    ),
    "msrvtt": (
        "you {action} the {item} and it is {colour}",
        "the {item} is {colour} now {action} it",
    ),
}
"""How annotators of each benchmark describe it, in words that cooks use too."""

FILLERS = ("so", "um", "okay", "gonna", "you know", "and", "just")
GREETINGS = ("hey guys welcome back", "what is up everyone", "")
CHATTER = ("it is so good", "that is it for now", "", "you always want to like that first")
STOP_WORDS = frozenset(
    [
        "a",
        "and",
        "for",
        "gonna",
        "hey",
        "i",
        "is",
        "it",
        "just",
        "like",
        "now",
        "okay",
        "so",
        "that",
        "the",
        "then",
        "this",
        "to",
        "um",
        "up",
        "we",
        "what",
        "you",
        "your",
    ]
)

SECONDS_PER_WORD = 0.3
DROPPED = 0.08
FILLED = 0.5
LONGEST_SLIP_SECONDS = 0.5


@dataclass(frozen=True)
class Utterance:
    """A sentence as it is spoken."""

    start_seconds: float
    end_seconds: float
    words: tuple[str, ...]


@dataclass(frozen=True)
class CaptionLine:
    """A sentence as speech recognition writes it down."""

    start_seconds: float
    end_seconds: float
    text: str


def say(story: Story, *, seed: int) -> list[Utterance]:
    """One sentence for each step, and chatter before the first and after the last."""
    random = dice(seed, "narration", story.video_id)
    utterances = []
    first, last = story.steps[0], story.steps[-1]
    if first.start_seconds > 0:
        utterances.append(_spoken(str(random.choice(GREETINGS)), 0.0, first.start_seconds))
    utterances += [_step_sentence(step, random) for step in story.steps]
    if story.duration_seconds > last.end_seconds:
        chatter = str(random.choice(CHATTER))
        utterances.append(_spoken(chatter, last.end_seconds - 0.4, story.duration_seconds))
    return utterances


def recognise(story: Story, utterances: list[Utterance], *, seed: int) -> list[CaptionLine]:
    """Captions with words missing, fillers added, and times that are off and may overlap."""
    random = dice(seed, "recognition", story.video_id)
    lines = []
    for utterance in utterances:
        words = [word for word in utterance.words if random.random() >= DROPPED]
        if words and random.random() < FILLED:
            words.insert(int(random.integers(len(words))), str(random.choice(FILLERS)))
        slips = random.uniform(-LONGEST_SLIP_SECONDS, LONGEST_SLIP_SECONDS, 2)
        start = max(0.0, utterance.start_seconds + slips[0])
        end = max(start + 0.3, utterance.end_seconds + slips[1])
        lines.append(CaptionLine(round(start, 2), round(end, 2), " ".join(words)))
    return sorted(lines, key=lambda line: line.start_seconds)


def without_stop_words(text: str) -> str:
    """What HowTo100M's caption.json keeps of a caption."""
    return " ".join(word for word in text.split() if word not in STOP_WORDS)


def describe(deed: Deed, benchmark: str, *, seed: int) -> str:
    """The benchmark's sentence for a clip; every deed has the same one wherever it is shown."""
    random = dice(seed, "description", benchmark, *vars(deed).values())
    template = str(random.choice(DESCRIBED[benchmark]))
    return template.format(**vars(deed))


def _step_sentence(step: Step, random: np.random.Generator) -> Utterance:
    sentence = str(random.choice(SAID)).format(**vars(step.deed))
    room = step.end_seconds - step.start_seconds
    start = step.start_seconds + random.uniform(0.0, 0.2) * room
    return _spoken(sentence, start, step.end_seconds)


def _spoken(sentence: str, start_seconds: float, end_seconds: float) -> Utterance:
    words = tuple(sentence.split())
    length = min(len(words) * SECONDS_PER_WORD, end_seconds - start_seconds)
    return Utterance(start_seconds, start_seconds + max(0.3, length), words)
