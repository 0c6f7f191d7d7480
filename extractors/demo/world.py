"""What the demo's kitchen knows: actions, items and colours, and which deeds are held out."""

from dataclasses import dataclass

from extractors.demo.dice import dice

ACTIONS = ("chop", "peel", "stir", "pour", "fry", "roll", "grate", "boil")

ITEMS = ("onion", "carrot", "tomato", "pepper", "potato", "fish", "cheese", "cabbage")

COLOURS = {
    "red": (206.0, 40.0, 34.0),
    "green": (58.0, 152.0, 48.0),
    "blue": (44.0, 84.0, 208.0),
    "yellow": (240.0, 202.0, 44.0),
    "purple": (142.0, 54.0, 164.0),
    "white": (236.0, 236.0, 228.0),
}
"""RGB of each colour in plain light."""

BEATS_PER_SECOND = {
    "chop": 2.6,
    "peel": 1.5,
    "stir": 1.1,
    "pour": 5.0,
    "fry": 4.0,
    "roll": 0.8,
    "grate": 3.4,
    "boil": 6.0,
}
"""How often an action repeats its motion and its sound, at a tempo of 1."""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Something done to something: what a clip shows, sounds like and is said to be."""

    action: str
    item: str
    colour: str


def _all_deeds() -> list[tuple[int, Deed]]:
    """Every deed, with the place that its colour takes for its action and item."""
    colours = tuple(COLOURS)
    return [
        (place, Deed(action=action, item=item, colour=colours[(place + a + i) % len(colours)]))
        for a, action in enumerate(ACTIONS)
        for i, item in enumerate(ITEMS)
        for place in range(len(colours))
    ]


def training_deeds(seed: int) -> list[Deed]:
    """The two thirds of all deeds that training videos show, shuffled."""
    deeds = [deed for place, deed in _all_deeds() if place % 3]
    return [deeds[k] for k in dice(seed, "training deeds").permutation(len(deeds))]


def held_out_deeds(seed: int, benchmark: str) -> list[Deed]:
    """The third that no training video shows, shuffled for one benchmark.

    Every action, item and colour, and every pair of them, is seen in training; only these
    triples are not. For each action and item two colours are held out, other ones each time,
    so that no colour is rarer in training than another.
    """
    deeds = [deed for place, deed in _all_deeds() if place % 3 == 0]
    return [deeds[k] for k in dice(seed, "held-out deeds", benchmark).permutation(len(deeds))]
