"""How results are printed: a table each, under what was measured."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.benchmarks.result import Result, Row

LEAST_WIDTH = 130

HOW_TO_READ = """
ratio: how many times as long as ours it took, the median of rounds (least to most); below 1 it was
faster than ours. Seconds are those of a round, the median; CPU seconds are of all threads and child
processes. The first contender is ours."""


def print_machine(machine: Mapping[str, str], versions: Mapping[str, str]) -> None:
    """Where and with what is measured."""
    console = _console()
    console.print("; ".join(f"{name}: {value}" for name, value in machine.items()))
    console.print(", ".join(f"{name} {value}" for name, value in versions.items()))


def print_results(results: Sequence[Result]) -> None:
    """What was measured and found, and what was left out."""
    console = _console()
    for result in results:
        console.print(f"\n[bold]{escape(result.title)}[/bold]: {escape(result.measured)}")
        console.print(_table(result), soft_wrap=False)
    for line in dict.fromkeys(line for result in results for line in result.left_out):
        console.print(escape(line))


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    return console


def _table(result: Result) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("contender", no_wrap=True)
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("ratio", no_wrap=True)
    table.add_column("wall s", justify="right", no_wrap=True)
    table.add_column("CPU s", justify="right", no_wrap=True)
    table.add_column("note")
    for row in result.rows:
        seconds = ("" if s is None else _number(s) for s in (row.wall_seconds, row.cpu_seconds))
        table.add_row(row.name, _number(row.value), row.unit, _ratio(row), *seconds, row.note)
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    if row.ratio.least == row.ratio.most:
        return f"{row.ratio.median:.2f}"
    return f"{row.ratio.median:.2f} ({row.ratio.least:.2f} to {row.ratio.most:.2f})"
