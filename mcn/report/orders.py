"""Orders of training: what each means, where its rows and lines stand, and which are compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcn.evaluation.results import RunResults

ORDERS = {
    "AV_T": "audio and video, then text",
    "AT_V": "audio and text, then video",
    "VT_A": "video and text, then audio",
    "AVT": "all three at once",
}
"""What the orders mean, in the sequence in which they are shown."""


def place(results: RunResults) -> tuple[bool, int, str, str, int]:
    """Sorts runs as they are shown: by order, then by seed; controls last."""
    known = list(ORDERS)
    index = known.index(results.stage) if results.stage in known else len(known)
    return results.control != "none", index, results.stage, results.control, results.seed


def label_of(stage: str, control: str) -> str:
    """How tables call an order, or one of its controls."""
    return stage if control == "none" else f"{stage}, {control.replace('-', ' ')}"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order of training, or a control, with the runs that are its seeds."""

    stage: str
    control: str
    seeds: tuple[RunResults, ...]

    @property
    def is_control(self) -> bool:
        return self.control != "none"

    @property
    def label(self) -> str:
        return label_of(self.stage, self.control)


def orders_of(runs: Sequence[RunResults]) -> list[Order]:
    """All orders, as `place` sorts them."""
    found: dict[tuple[str, str], list[RunResults]] = {}
    for run in sorted(runs, key=place):
        found.setdefault((run.stage, run.control), []).append(run)
    return [
        Order(stage=stage, control=control, seeds=tuple(seeds))
        for (stage, control), seeds in found.items()
    ]


def pairs_to_compare(orders: Sequence[Order]) -> list[tuple[Order, Order]]:
    """Every two orders, and every order with its own controls."""
    return [
        (first, second)
        for index, first in enumerate(orders)
        for second in orders[index + 1 :]
        if not first.is_control and (not second.is_control or second.stage == first.stage)
    ]
