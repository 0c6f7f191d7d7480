"""The tables of results for a terminal; 80 columns are enough."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from mcn.evaluation.directions import DIRECTIONS
from mcn.evaluation.results import RunResults
from mcn.evaluation.retrieval import METRICS
from mcn.report.differences import (
    DifferenceRow,
    localization_differences,
    retrieval_differences,
    told_apart_of,
)
from mcn.report.directions import space_notes
from mcn.report.localization import localization_tables
from mcn.report.measure import build_table
from mcn.report.table import Cell
from mcn.report.verdicts import JUDGED_BY

MOST_PAIRS = 24
"""That a terminal shows whether they are told apart or not."""


def text_table(runs: Sequence[RunResults], *, direction: str = "t2va") -> Table:
    """The results of all runs, benchmark by benchmark, with chance below the rows of each.

    In a narrow terminal the interval goes below its value.
    """
    table = build_table(runs, [direction])
    text = Table(box=box.SIMPLE_HEAD, caption_justify="left", pad_edge=False)
    text.add_column("text to video")
    for metric in METRICS:
        text.add_column(metric if metric == "MedR" else f"{metric} %", justify="right")
    for head in table.benchmarks:
        text.add_row(Text(head.title, style="bold"))
        for row in table.rows:
            cells = row.cells[head.key]
            if not row.is_comparable:
                text.add_row(row.label, *(Text("-", style="dim") for _ in METRICS))
            elif cells:
                text.add_row(
                    Text(row.label, style="italic" if row.is_control else ""),
                    *(_text(cells[m], is_best=table.is_best(cells[m], head)) for m in METRICS),
                )
        text.add_row(
            Text(f"chance among {head.num_queries}", style="dim"),
            *(Text(head.chance[metric], style="dim") for metric in METRICS),
            end_section=True,
        )
    remarks = [f"{row.label}, {row.compared_with}" for row in table.rows if not row.is_comparable]
    marks = (
        "[95 % interval]  bold: best  \N{DAGGER} not told from chance  "
        "\N{DOUBLE DAGGER} worse than chance"
    )
    text.caption = Text("\n".join([marks, *remarks]))
    return text


def directions_text_table(runs: Sequence[RunResults]) -> Table:
    """R@10 of every order in every direction, without intervals, which the page has."""
    table = build_table(runs, list(DIRECTIONS))
    text = Table(title="R@10 % in every direction", box=box.SIMPLE_HEAD, pad_edge=False)
    text.add_column("")
    for direction in DIRECTIONS:
        text.add_column(direction, justify="right")
    for head in table.benchmarks:
        text.add_row(Text(head.title, style="bold"))
        for first in range(0, len(table.rows), len(DIRECTIONS)):
            of_order = table.rows[first : first + len(DIRECTIONS)]
            cells = [row.cells[head.key].get(JUDGED_BY) for row in of_order]
            if any(cells):
                values = [cell.value + cell.mark if cell else "-" for cell in cells]
                text.add_row(of_order[0].label, *values)
        chance = Text(head.chance[JUDGED_BY], style="dim")
        text.add_row(Text("chance", style="dim"), *(chance for _ in DIRECTIONS), end_section=True)
    text.caption = "\n".join(space_notes(runs)) or None
    return text


def steps_text_tables(runs: Sequence[RunResults], *, direction: str = "t2va") -> list[Table]:
    """A table for each benchmark of steps: a line for each order and measure."""
    tables = []
    for found in localization_tables(runs, [direction]):
        text = Table(title=f"steps in {found.title}", box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("", "measured", "%", "chance"):
            text.add_column(name, justify="left" if name in ("", "measured") else "right")
        remarks: list[str] = []
        for row in found.rows:
            if not row.cells:
                text.add_row(row.label, "-")
                remarks.append(f"{row.label}, {row.compared_with}")
            for column, cell in row.cells.items():
                label = row.label if column == found.columns[0] else ""
                text.add_row(label, column, cell.text + cell.mark, found.chance[column])
        text.caption = "\n".join(remarks) or None
        tables.append(text)
    return tables


def differences_text_table(runs: Sequence[RunResults], *, direction: str = "t2va") -> Table | None:
    """Every two orders on every benchmark, judged as the report does; None for one order."""
    tables = (retrieval_differences(runs, direction), localization_differences(runs, direction))
    return pairs_text_table("differences", [row for table in tables for row in table.rows])


def pairs_text_table(title: str, rows: Sequence[DifferenceRow]) -> Table | None:
    """A line for each pair, of many only for those told apart; None where there is no pair."""
    if not rows:
        return None
    text = Table(title=title, box=box.SIMPLE_HEAD, caption_justify="left", pad_edge=False)
    for name in ("on", "first", "second", "points", ""):
        text.add_column(name, justify="right" if name == "points" else "left")
    shown = rows
    if len(rows) > MOST_PAIRS:
        shown = [row for row in rows if row.verdict == "told apart"]
        text.caption = f"{told_apart_of(rows)}; the page has all"
    for row in shown:
        judged = f"{row.judged_by} {row.cells[row.judged_by].text}"
        cells = (row.benchmark, row.first, row.second, judged, row.verdict)
        text.add_row(*map(Text, cells))
    return text


def _text(cell: Cell, *, is_best: bool) -> Text:
    bounds = cell.bounds.replace(" ", "")  # else a narrow column would break it in two
    text = Text(cell.value + cell.mark, style="bold" if is_best else "")
    return text.append(f" {bounds}", style="not bold dim")
