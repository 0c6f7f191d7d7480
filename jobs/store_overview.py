"""What the store holds, for a terminal: what `jobs/store.py inspect` prints."""

import json
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from mcn.store.summary import Summary

GB = 1e9


def print_overview(summaries: Mapping[str, Summary]) -> None:
    """A row for each modality, and below what made its features."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_overview(summaries))
    for label, summary in summaries.items():
        for line in _origin(label, summary):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _overview(summaries: Mapping[str, Summary]) -> Table:
    table = Table()
    table.add_column("store", overflow="fold")
    table.add_column("fingerprint", overflow="fold")
    for column in ("sealed", "begun", "done", "damaged", "failed", "waiting", "rows", "GB"):
        table.add_column(column, justify="right")
    for label, summary in summaries.items():
        begun = f"{summary.under_construction} ({summary.records_under_construction} records)"
        table.add_row(
            label,
            ", ".join(digest[:12] for digest in summary.fingerprints),
            f"{summary.sealed}",
            begun if summary.under_construction else "0",
            f"{summary.done:,}",
            f"{summary.damaged:,}",
            f"{summary.failed:,}",
            f"{summary.planned - summary.done - summary.failed:,}",
            f"{summary.rows:,}",
            f"{summary.size_bytes / GB:,.3f}",
        )
    return table


def _origin(label: str, summary: Summary) -> list[str]:
    """What made the features of a store, and what could not be read."""
    lines = ["", label]
    for digest, fingerprint in summary.fingerprints.items():
        lines.append(f"  fingerprint {digest[:12]}")
        lines += [f"    {name}: {value}" for name, value in fingerprint.parts().items()]
    if len(summary.fingerprints) > 1:
        lines.append("  MIXED: readers refuse these shards together unless told to mix them")
    for provenance, records in summary.provenances.items():
        lines.append(f"  provenance of {records:,} records")
        lines += [f"    {name}: {value}" for name, value in json.loads(provenance).items()]
    return lines + [f"  UNREADABLE {sentence}" for sentence in summary.unreadable]
