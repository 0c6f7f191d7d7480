"""What the results say in words, as measured, and which of them say nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mcn.evaluation.results import BenchmarkResults, RunResults
from mcn.evaluation.statistics import Verdict
from mcn.report.directions import named
from mcn.report.table import ResultsTable, Row

JUDGED_BY = "R@10"

PREDICATES: dict[Verdict, str] = {
    "above chance": "lies above chance",
    "not told from chance": "cannot be told from chance",
    "below chance": "lies below chance",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row on one benchmark, judged against chance."""

    who: str
    benchmark: str
    measured: str
    chance: str
    verdict: Verdict
    is_control: bool

    @property
    def predicate(self) -> str:
        """The verdict as the end of a sentence that begins with the metric."""
        return PREDICATES[self.verdict]


def findings(table: ResultsTable) -> list[Finding]:
    """Every row on every benchmark, judged by R@10, benchmark by benchmark."""
    return [
        Finding(
            who=_who(row),
            benchmark=head.title,
            measured=row.cells[head.key][JUDGED_BY].text,
            chance=head.chance[JUDGED_BY],
            verdict=row.cells[head.key][JUDGED_BY].verdict,
            is_control=row.is_control,
        )
        for head in table.benchmarks
        for row in table.rows
        if row.cells[head.key]
    ]


def summary(judged: Sequence[Finding]) -> str:
    """How many results lie above chance, and how many of the controls."""
    trained = [finding.verdict == "above chance" for finding in judged if not finding.is_control]
    controls = [finding.verdict == "above chance" for finding in judged if finding.is_control]
    text = f"{JUDGED_BY} lies above chance in {sum(trained)} of {len(trained)} results"
    if not controls:
        return f"{text}."
    return f"{text}, and in {sum(controls)} of {len(controls)} results of controls."


def missing_inputs(runs: Sequence[RunResults], directions: Sequence[str]) -> list[str]:
    """A sentence for clips left out, and for all directions in which as many clips are missing."""
    left_out = [
        f"{part.title}: {part.num_left_out} clips without audio are left out; the others have so "
        "many fewer to be told from, and published numbers cannot be compared."
        for run in runs
        for part in run.benchmarks.values()
        if part.num_left_out
    ]
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for part in run.benchmarks.values():
            for direction in directions:
                for what in _missing(part, direction):
                    names = found.setdefault((part.title, what), [])
                    if named(direction) not in names:
                        names.append(named(direction))
    sentences = [f"{title}, {'; '.join(names)}: {what}" for (title, what), names in found.items()]
    return list(dict.fromkeys(left_out)) + sentences


def _missing(part: BenchmarkResults, direction: str) -> Iterator[str]:
    queries = part.queries.get(direction)
    if queries and queries.num_missing:
        yield (
            f"{queries.num_missing} of {part.num_queries} clips lack what is compared with and "
            "count as never found."
        )
    if queries and queries.num_unasked:
        yield (
            f"{queries.num_unasked} of {part.num_queries} clips lack what is asked with, or no "
            "word of it is known, and find nothing."
        )


def _who(row: Row) -> str:
    return f"The control ({row.label})" if row.is_control else row.label
