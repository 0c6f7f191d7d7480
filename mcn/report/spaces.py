"""Whether one arrangement of MMV's spaces finds more than another, in each way of comparing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from mcn.evaluation.results import RunResults
from mcn.evaluation.retrieval import RECALL_AT
from mcn.modality import MMV_SPACES
from mcn.report.differences import Difference, query_difference, seed_difference
from mcn.report.directions import BY_SENTENCES
from mcn.report.orders import Order, orders_of

WAYS = {
    **{way: f"sentences with {parts}" for way, parts in BY_SENTENCES.items()},
    "v2a": "pictures with sound",
    "a2v": "sounds with pictures",
}
"""What is compared, as the middle of a sentence."""

JUDGED_AT = RECALL_AT[-1]

PREDICATES = {1: "finds more than", 0: "cannot be told from", -1: "finds less than"}


@dataclass(frozen=True, kw_only=True)
class SpaceFinding:
    """Two arrangements on one benchmark in one way of comparing, of which the first allows it."""

    first: str
    second: str
    benchmark: str
    way: str
    over_videos: Difference | None
    """None where the second one's spaces do not allow it."""
    over_seeds: Difference | None
    """None too where no two seeds are common to both."""
    num_seeds: int
    """Common to both."""

    @property
    def predicate(self) -> str:
        """Joins the two names; more or less is said where every interval leaves out 0."""
        if self.over_videos is None:
            return "can, unlike"
        signs = {d.sign for d in (self.over_videos, self.over_seeds) if d is not None}
        return PREDICATES[signs.pop() if len(signs) == 1 else 0]

    @property
    def measured(self) -> str:
        """The difference in points with its intervals; empty where there is none."""
        if self.over_videos is None:
            return ""
        of_videos = f"R@{JUDGED_AT} {self.over_videos.text} points over videos"
        if self.over_seeds is None:
            return f"{of_videos}; another seed may change it"
        bounds = self.over_seeds.text.partition(" ")[2]
        return f"{of_videos}, {bounds} over {self.num_seeds} seeds"


def space_findings(runs: Sequence[RunResults]) -> list[SpaceFinding]:
    """Every two arrangements of one order of training, benchmark by benchmark and way by way."""
    names = [f"mmv-{space}" for space in MMV_SPACES]
    orders = [order for order in orders_of(runs) if order.model in names and not order.is_control]
    orders.sort(key=lambda order: names.index(order.model))
    pairs = [(one, other) for one, other in combinations(orders, 2) if one.stage == other.stage]
    titles = {key: part.title for run in runs for key, part in run.benchmarks.items()}
    return [
        _finding(*(pair if _allows(pair[0], key, way) else pair[::-1]), key, title, way)
        for pair in pairs
        for key, title in titles.items()
        for way in WAYS
        if all(_is_evaluated(order, key) for order in pair)
        and any(_allows(order, key, way) for order in pair)
    ]


def _finding(
    first: Order[RunResults], second: Order[RunResults], key: str, title: str, way: str
) -> SpaceFinding:
    both = _allows(second, key, way)
    return SpaceFinding(
        first=first.label,
        second=second.label,
        benchmark=title,
        way=WAYS[way],
        over_videos=query_difference(first, second, key, way, JUDGED_AT) if both else None,
        over_seeds=seed_difference(first, second, key, way, JUDGED_AT) if both else None,
        num_seeds=len({run.seed for run in first.seeds} & {run.seed for run in second.seeds}),
    )


def _is_evaluated(order: Order[RunResults], key: str) -> bool:
    return all(key in run.benchmarks for run in order.seeds)


def _allows(order: Order[RunResults], key: str, way: str) -> bool:
    return all(way in run.benchmarks[key].queries for run in order.seeds)
