"""Models and orders of training: what they mean, where they stand, and which are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

ORDERS = {
    "AV_T": "audio and video, then text",
    "AT_V": "audio and text, then video",
    "VT_A": "video and text, then audio",
    "AVT": "all three at once",
}
"""What the orders mean, in the sequence in which they are shown."""

PLAIN_MODEL = "mcn"
"""Its rows come first, and are called by their order alone."""


@runtime_checkable  # so that annotations can be checked in tests
class OfRun(Protocol):
    """Says of which run it is."""

    @property
    def model(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def control(self) -> str: ...


Results = TypeVar("Results", bound=OfRun)


def place(results: OfRun) -> tuple[bool, bool, str, int, str, str, int]:
    """Sorts runs as they are shown: by model, order and seed; controls last."""
    known = list(ORDERS)
    index = known.index(results.stage) if results.stage in known else len(known)
    is_control, is_other = results.control != "none", results.model != PLAIN_MODEL
    order = (index, results.stage, results.control, results.seed)
    return is_control, is_other, results.model, *order


def label_of(model: str, stage: str, control: str) -> str:
    """How tables call an order of a model, or one of its controls."""
    order = stage if model == PLAIN_MODEL else f"{model} {stage}".strip()
    return order if control == "none" else f"{order}, {control.replace('-', ' ')}"


@dataclass(frozen=True, kw_only=True)
class Order(Generic[Results]):
    """One order of training a model, or a control, with the runs that are its seeds."""

    model: str
    stage: str
    control: str
    seeds: tuple[Results, ...]

    @property
    def is_control(self) -> bool:
        return self.control != "none"

    @property
    def label(self) -> str:
        return label_of(self.model, self.stage, self.control)


def orders_of(runs: Sequence[Results]) -> list[Order[Results]]:
    """All orders, as `place` sorts them."""
    found: dict[tuple[str, str, str], list[Results]] = {}
    for run in sorted(runs, key=place):
        found.setdefault((run.model, run.stage, run.control), []).append(run)
    return [
        Order(model=model, stage=stage, control=control, seeds=tuple(seeds))
        for (model, stage, control), seeds in found.items()
    ]


def pairs_to_compare(
    orders: Sequence[Order[Results]],
) -> list[tuple[Order[Results], Order[Results]]]:
    """Every two orders, and every order with its own controls."""
    return [
        (first, second)
        for index, first in enumerate(orders)
        for second in orders[index + 1 :]
        if not first.is_control
        and (not second.is_control or (second.model, second.stage) == (first.model, first.stage))
    ]
