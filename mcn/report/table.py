"""A table of results: orders of training by benchmarks and metrics, each cell with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

from mcn.evaluation.retrieval import METRICS, chance
from mcn.evaluation.statistics import Interval, Verdict, against_chance
from mcn.objectives import learns_of_text
from mcn.report.directions import named
from mcn.report.orders import ORDERS, label_of

MARKS: dict[Verdict, str] = {
    "above chance": "",
    "not told from chance": "\N{DAGGER}",
    "below chance": "\N{DOUBLE DAGGER}",
}

LARGE_BENCHMARK = 1000
"""From this many queries on, hundredths of a percent say something."""


def number(metric: str, value: float, num_queries: int) -> str:
    """A metric as tables show it: recall in percent, ranks as they are."""
    if metric == "MedR":
        return f"{value:.1f}"
    return f"{100 * value:.{_decimals(num_queries)}f}"


def _decimals(num_queries: int) -> int:
    return 2 if num_queries >= LARGE_BENCHMARK else 1


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One metric of one row on one benchmark."""

    metric: str
    interval: Interval
    num_queries: int
    seed_range: tuple[float, float] | None
    """Lowest and highest over the seeds, where there are several."""

    @property
    def is_recall(self) -> bool:
        return self.metric != "MedR"

    @property
    def chance(self) -> float:
        return chance(self.num_queries)[self.metric]

    @property
    def verdict(self) -> Verdict:
        """Against chance; a median rank lies above it where it is the smaller."""
        if self.is_recall:
            return against_chance(self.interval, self.chance)
        upside_down = Interval(-self.interval.value, -self.interval.high, -self.interval.low)
        return against_chance(upside_down, -self.chance)

    @property
    def mark(self) -> str:
        return MARKS[self.verdict]

    @property
    def text(self) -> str:
        """Value and interval, as in `12.0 [8.0, 17.0]`."""
        if self.is_recall:
            return self.interval.as_percent(_decimals(self.num_queries))
        return self.interval.as_rank()

    @property
    def value(self) -> str:
        return self.text.partition(" ")[0]

    @property
    def bounds(self) -> str:
        return self.text.partition(" ")[2]

    @property
    def seeds(self) -> str:
        """Range over the seeds, as in `10.0 to 13.0`; empty for a single seed."""
        ends = self.seed_range or ()
        return " to ".join(number(self.metric, end, self.num_queries) for end in ends)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One order of training a model, or a control, compared in one way."""

    model: str
    stage: str
    control: str
    direction: str
    num_seeds: int
    cells: Mapping[str, Mapping[str, Cell]]
    """By benchmark and metric; empty for a benchmark that was not evaluated."""
    is_comparable: bool
    """Whether the model's spaces allow it; without, no benchmark has cells."""

    @property
    def is_control(self) -> bool:
        return self.control != "none"

    @property
    def label(self) -> str:
        return label_of(self.model, self.stage, self.control)

    @property
    def explanation(self) -> str:
        order = "control" if self.is_control else ORDERS.get(self.stage, "")
        return "; ".join(filter(None, [order, "" if self.is_comparable else self.compared_with]))

    @property
    def compared_with(self) -> str:
        if not learns_of_text(self.model):
            return "learns no space shared with text"
        return named(self.direction, is_comparable=self.is_comparable)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The head of a benchmark's columns."""

    key: str
    title: str
    num_queries: int
    num_videos: int

    @property
    def chance(self) -> dict[str, str]:
        """What a random order of the clips reaches, by metric."""
        expected = chance(self.num_queries)
        return {metric: number(metric, expected[metric], self.num_queries) for metric in METRICS}


@dataclass(frozen=True, kw_only=True)
class ResultsTable:
    """Rows by order and direction, columns by benchmark and metric."""

    benchmarks: tuple[Benchmark, ...]
    rows: tuple[Row, ...]

    def is_best(self, cell: Cell, benchmark: Benchmark) -> bool:
        """Whether no row is better in this column, controls left aside."""
        rivals = [
            row.cells[benchmark.key].get(cell.metric) for row in self.rows if not row.is_control
        ]
        values = [rival.interval.value for rival in rivals if rival is not None]
        best = max(values, default=None) if cell.is_recall else min(values, default=None)
        return cell.interval.value == best
