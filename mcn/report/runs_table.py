"""Training runs and lost videos for a terminal."""

import time
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from mcn.report.runs import RunState

UNKNOWN = "-"


def runs_table(runs: Sequence[RunState]) -> Table:
    """A row for each run."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("training run", overflow="fold")
    table.add_column("state")
    for name in ("stage", "step", "loss", "steps/s", "left out", "last step"):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(
            run.run,
            _state(run),
            _stage(run),
            _steps(run),
            UNKNOWN if run.loss is None else f"{run.loss:.4g}",
            UNKNOWN if run.per_second is None else f"{run.per_second:.3g}",
            Text(f"{run.left_out:,}", style="red" if run.left_out else "dim"),
            UNKNOWN if run.written_at is None else _moment(run.written_at),
        )
    return table


def lost_videos_lines(lost: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each step: how many videos failed there, and why."""
    return [
        f"{step}: {sum(reasons.values()):,} failed ("
        + ", ".join(f"{number:,} {reason}" for reason, number in reasons.items())
        + ")"
        for step, reasons in lost.items()
    ]


def _state(run: RunState) -> Text:
    state = Text(run.state or UNKNOWN, style="green" if run.is_finished else "")
    return state.append(f"\n{run.note}", style="dim") if run.note else state


def _stage(run: RunState) -> str:
    """Or the round, where a run has no stages."""
    if run.stage is None:
        return UNKNOWN
    if run.round is None:
        return f"{run.stage}, epoch {run.epoch}"
    of_all = "" if run.num_rounds is None else f" of {run.num_rounds}"
    return f"round {run.round}{of_all}, epoch {run.epoch}"


def _steps(run: RunState) -> str:
    if run.step is None:
        return UNKNOWN
    return f"{run.step:,}" + ("" if run.num_steps is None else f" of {run.num_steps:,}")


def _moment(seconds: float) -> str:
    return time.strftime("%a %H:%M", time.localtime(seconds))
