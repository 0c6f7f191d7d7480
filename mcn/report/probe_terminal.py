"""The tables of probes for a terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from mcn.report.probes import ProbeReport
from mcn.report.terminal import pairs_text_table


def probe_text_tables(report: ProbeReport) -> list[Table]:
    """A table for each benchmark, with chance below its rows."""
    tables = []
    for found in report.tables:
        text = Table(
            title=Text(f"{found.title}, mean of {found.num_splits} splits"),
            box=box.SIMPLE_HEAD,
            caption_justify="left",
            pad_edge=False,
        )
        for name in ("", "by", "how"):
            text.add_column(name)
        for column in found.columns:
            text.add_column(f"{column} %", justify="right")
        for row in found.rows:
            cells = (row.cells[column] for column in found.columns)
            text.add_row(
                Text(row.label, style="italic" if row.is_control else ""),
                row.looks_at,
                row.how,
                *(Text(cell.text + cell.mark) for cell in cells),
            )
        chance = (Text(found.chance[column], style="dim") for column in found.columns)
        text.add_row(Text("chance", style="dim"), "", "", *chance)
        text.caption = Text("\n".join(found.remarks)) if found.remarks else None
        tables.append(text)
    return tables


def probe_differences_text_table(report: ProbeReport) -> Table | None:
    """Every two rows that are classified in the same way; None where there are no two."""
    return pairs_text_table("differences of probes", report.differences.rows)
