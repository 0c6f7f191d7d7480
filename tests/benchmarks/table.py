"""The one table that all results are printed in."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.benchmarks.result import Result, Row

LEAST_WIDTH = 130


def print_results(
    results: Sequence[Result], machine: Mapping[str, str], versions: Mapping[str, str]
) -> None:
    """The machine, the table, what was measured, and what was left out."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    console.print("; ".join(f"{name}: {value}" for name, value in machine.items()))
    console.print(", ".join(f"{name} {value}" for name, value in versions.items()))
    table = Table(
        caption="ratio: how many times as long as ours it took, the median of rounds "
        "(least to most); below 1 it was faster than ours"
    )
    table.add_column("benchmark", no_wrap=True)
    table.add_column("contender", no_wrap=True)
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("ratio", no_wrap=True)
    table.add_column("note")
    for result in results:
        titles = [result.title] + [""] * (len(result.rows) - 1)
        for title, row in zip(titles, result.rows, strict=True):
            table.add_row(title, row.name, _number(row.value), row.unit, _ratio(row), row.note)
        table.add_section()
    console.print(table, soft_wrap=False)
    for result in results:
        console.print(f"{result.title}: {result.measured}")
    for line in dict.fromkeys(line for result in results for line in result.left_out):
        console.print(line)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    return f"{row.ratio.median:.2f} ({row.ratio.least:.2f} to {row.ratio.most:.2f})"
