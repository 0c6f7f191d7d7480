"""Which probes stand beside each other: only those that were made in the same way of the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcn.probes.results import ProbeResults
from mcn.probes.settings import INPUTS, WAYS, Way
from mcn.report.orders import Order, orders_of

WITHOUT_MODEL = "features"
"""Model of what is probed without any."""


LOOKED_AT = {"video": "video", "audio": "audio", "both": "video + audio"}

HOW: dict[Way, str] = {
    "frozen": "frozen",
    "linear": "linear",
    "finetune": "fine-tuned",
}


@dataclass(frozen=True, kw_only=True)
class LikeOrders:
    """Orders that were probed with equal settings on equal data, without any model last."""

    orders: tuple[Order[ProbeResults], ...]
    is_of_most: bool
    """Whether more runs were probed so than in any other way."""

    def label(self, order: Order[ProbeResults]) -> str:
        name = "features alone" if order.model == WITHOUT_MODEL else order.label
        return name if self.is_of_most else f"{name} (probed otherwise)"


def kinds() -> list[tuple[str, Way]]:
    """Inputs and ways, in the order in which tables show them."""
    return [(looks_at, way) for looks_at in INPUTS for way in WAYS]


def like_orders(
    probed: Sequence[ProbeResults], key: str, way: Way, looks_at: str
) -> list[LikeOrders]:
    """All that is done on all splits of a benchmark; of most runs first.

    Features that no run was probed on are left out, unless there is no run.
    """
    found: dict[tuple[object, ...], list[ProbeResults]] = {}
    for run in probed:
        if key in run.benchmarks and (parts := run.benchmarks[key].of(way, looks_at)):
            made = (parts[0].data, *sorted(parts[0].settings.items()))
            found.setdefault(made, []).append(run)
    groups = sorted(found.values(), key=_num_runs, reverse=True)
    if groups and _num_runs(groups[0]):
        groups = [runs for runs in groups if _num_runs(runs)]
    return [
        LikeOrders(
            orders=tuple(sorted(orders_of(runs), key=lambda order: order.model == WITHOUT_MODEL)),
            is_of_most=place == 0,
        )
        for place, runs in enumerate(groups)
    ]


def _num_runs(probed: Sequence[ProbeResults]) -> int:
    return sum(results.model != WITHOUT_MODEL for results in probed)
