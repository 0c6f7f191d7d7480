"""Curves of training: one panel for every loss term, one line for every run."""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcn.report.content import MetricsRow, Run
from mcn.report.inline import data_uri
from mcn.report.terms import families

POINTS_PER_LINE = 200

# The darker of Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
LINES = ("solid", "dashed", "dashdot")
"""Where there are more orders than colours."""
CONTROL_COLOUR = "#888888"

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "mcn",  # equal input makes equal bytes
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "grid.color": "#eeeeee",
    "xtick.color": "#666666",
    "ytick.color": "#666666",
}


def draw_curves(runs: Sequence[Run]) -> str | None:
    """An SVG as data URI, the same for the same runs; None where none has recorded a step."""
    recorded = [run for run in runs if run.metrics]
    if not recorded:
        return None
    panels = families(recorded)
    num_columns = max(len(names) for names in panels)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * num_columns, 2.0 * len(panels) + 0.6), layout="constrained")
        grid = figure.subplots(len(panels), num_columns, squeeze=False, sharex=True)
        for names, axes in zip(panels, grid, strict=True):
            for name, panel in zip(names, axes, strict=False):
                _draw_panel(panel, name, recorded)
            for unused in axes[len(names) :]:
                unused.set_axis_off()
        lines, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside upper left", ncols=5, frameon=False)
        figure.supxlabel("step", fontsize=9, color="#666666")
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return data_uri(file.getvalue(), "image/svg+xml")


def thin_out(metrics: Sequence[MetricsRow], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of a curve, neighbours averaged so that it has few enough points.

    A value that is not finite leaves a gap.
    """
    rows = [(row["step"], row[name]) for row in metrics if name in row]
    size = max(1, math.ceil(len(rows) / POINTS_PER_LINE))
    parts = [rows[first : first + size] for first in range(0, len(rows), size)]
    means = [sum(value for _, value in part) / len(part) for part in parts]
    return (
        [sum(step for step, _ in part) / len(part) for part in parts],
        [mean if math.isfinite(mean) else math.nan for mean in means],
    )


def stage_starts(metrics: Sequence[MetricsRow]) -> list[int | float]:
    """First steps of the stages after the first."""
    starts: dict[int | float, int | float] = {}
    for row in metrics:
        starts.setdefault(row["stage"], row["step"])
    return [step for stage, step in starts.items() if stage > 1]


def _draw_panel(panel: Axes, name: str, runs: Sequence[Run]) -> None:
    orders = list(dict.fromkeys((run.results.model, run.results.stage) for run in runs))
    for run in runs:
        place = orders.index((run.results.model, run.results.stage))
        is_control = run.results.control != "none"
        steps, values = thin_out(run.metrics, name)
        panel.plot(
            steps,
            values,
            label=run.results.run,
            color=CONTROL_COLOUR if is_control else COLOURS[place % len(COLOURS)],
            linestyle="dotted" if is_control else LINES[place // len(COLOURS) % len(LINES)],
            linewidth=1.3,
        )
    for step in sorted({step for run in runs for step in stage_starts(run.metrics)}):
        panel.axvline(step, color="#555555", linewidth=0.8, linestyle="dashed")
    panel.yaxis.set_offset_position("right")  # its left place is the title's
    panel.set_title("learning rate" if name == "lr" else name.removeprefix("loss/"), loc="left")
