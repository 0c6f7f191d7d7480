"""Writes the report: one Markdown file, and one HTML page that needs no other file."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mcn.evaluation.results import RunResults
from mcn.evaluation.retrieval import METRICS
from mcn.evaluation.statistics import RESAMPLES
from mcn.objectives import learns_of_text
from mcn.report.content import ReportContent, Run
from mcn.report.curves import draw_curves
from mcn.report.differences import (
    direction_differences,
    localization_differences,
    retrieval_differences,
)
from mcn.report.directions import BY_SENTENCES, OTHERS, space_notes
from mcn.report.examples import galleries
from mcn.report.localization import localization_tables
from mcn.report.measure import build_table
from mcn.report.orders import place
from mcn.report.spaces import space_findings
from mcn.report.table import MARKS
from mcn.report.terms import fall, families
from mcn.report.verdicts import findings, missing_inputs, summary

MAIN_DIRECTION = "t2va"

# What Markdown would take for markup in the middle of a line, HTML included.
MARKDOWN_CHARACTERS = str.maketrans({char: f"\\{char}" for char in r"\`*_[]<>|&#~"})


def write_report(content: ReportContent, folder: Path) -> list[Path]:
    """Write `report.md` and `report.html`, and the tables of probes, if any, as `probes.json`.

    A file that is up to date already is left alone.

    Returns:
        The paths of all.
    """
    context = _context(content)
    html = Environment(autoescape=True, **_environment())
    markdown = Environment(autoescape=False, finalize=escape_markdown, **_environment())
    pages = {
        folder / "report.md": markdown.get_template("page.md.j2").render(context),
        folder / "report.html": html.get_template("page.html.j2").render(context),
    }
    if content.probes.tables:
        tables = json.dumps(dataclasses.asdict(content.probes), indent=1)
        pages[folder / "probes.json"] = tables + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        _replace_if_changed(path, text.encode())
    return list(pages)


def escape_markdown(value: object) -> str:
    """Text that Markdown shows as it is, on one line; what a template calls safe stays itself."""
    if isinstance(value, Markup):
        return str(value)
    return " ".join(str(value).translate(MARKDOWN_CHARACTERS).split())


def _environment() -> dict[str, Any]:
    return {
        "loader": FileSystemLoader(Path(__file__).parent),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }


def _context(content: ReportContent) -> dict[str, Any]:
    runs = sorted(content.runs, key=lambda run: place(run.results))
    results = [run.results for run in runs if run.results.benchmarks or run.results.localization]
    by_input = build_table(results, list(BY_SENTENCES))
    table = build_table(_beside(results, runs), [MAIN_DIRECTION])
    judged = findings(table)
    others = build_table(results, list(OTHERS))
    return {
        "title": content.title,
        "about": content.about,
        "random_weights": _random_weights(content.provenance),
        "metrics": METRICS,
        "marks": MARKS,
        "resamples": RESAMPLES,
        "table": table,
        "by_input": by_input,
        "num_inputs": len(BY_SENTENCES),
        "missing_inputs": missing_inputs(results, list(BY_SENTENCES)),
        "others": others,
        "num_others": len(OTHERS),
        "others_summary": summary(findings(others)),
        "missing_others": missing_inputs(results, list(OTHERS)),
        "other_differences": direction_differences(results, list(OTHERS)),
        "other_directions": list(OTHERS),
        "space_notes": space_notes(results),
        "spaces": space_findings(results),
        "findings": judged,
        "summary": summary(judged),
        "differences": retrieval_differences(results, MAIN_DIRECTION),
        "localization": localization_tables(results, list(BY_SENTENCES)),
        "localization_differences": localization_differences(results, MAIN_DIRECTION),
        "probes": content.probes.tables,
        "probe_differences": content.probes.differences,
        "runs": [run.results for run in runs],
        "curves": draw_curves(runs),
        "falls": {
            name: [fall(run.metrics, name) for run in runs]
            for names in families(runs)
            for name in names
            if name != "lr"
        },
        "galleries": galleries(results, content.frame),
        "skipped": content.skipped,
        "skip_counts": sorted(
            Counter((skip.step, skip.reason) for skip in content.skipped).items()
        ),
        "provenance": content.provenance,
    }


def _beside(results: Sequence[RunResults], runs: Sequence[Run]) -> list[RunResults]:
    """What was retrieved, and runs of models of which nothing could be: these have no numbers."""
    others = [run.results for run in runs if not learns_of_text(run.results.model)]
    return [*results, *others]


def _random_weights(provenance: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The networks that were never trained."""
    weights = provenance.get("weights", {})
    return [f"{name}: {value}" for name, value in weights.items() if value.startswith("random")]


def _replace_if_changed(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    aside = path.with_name(path.name + ".tmp")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
