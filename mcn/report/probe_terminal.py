"""The tables of probes for a terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from mcn.probes.results import ProbeResults
from mcn.report.probes import probe_differences, probe_tables


def probe_text_tables(probed: Sequence[ProbeResults]) -> list[Table]:
    """A table for each benchmark, with chance below its rows."""
    tables = []
    for found in probe_tables(probed):
        text = Table(
            title=f"{found.title}, mean of {found.num_splits} splits",
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
                *(cell.text + cell.mark for cell in cells),
            )
        chance = (Text(found.chance[column], style="dim") for column in found.columns)
        text.add_row(Text("chance", style="dim"), "", "", *chance)
        text.caption = Text("\n".join(found.remarks)) if found.remarks else None
        tables.append(text)
    return tables


def probe_differences_text_table(probed: Sequence[ProbeResults]) -> Table | None:
    """Every two rows that are classified in the same way; None where there are no two."""
    rows = probe_differences(probed).rows
    if not rows:
        return None
    text = Table(title="differences of probes", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("on", "first", "second", "points", ""):
        text.add_column(name, justify="right" if name == "points" else "left")
    for row in rows:
        judged = f"{row.judged_by} {row.cells[row.judged_by].text}"
        text.add_row(row.benchmark, row.first, row.second, judged, row.verdict)
    return text
