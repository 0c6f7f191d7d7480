"""Where training runs stand, from the last lines that they wrote."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mcn.root import Root
from mcn.training.run_paths import RunPaths

# The end of a file of metrics that is read; a line has some hundred bytes.
TAIL_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """What the task that trains a run says of it."""

    num_steps: int | None
    per_second: float | None
    state: str
    """Its state on the cluster."""
    note: str
    """What it does, in its own words."""


UNKNOWN = Throughput(num_steps=None, per_second=None, state="", note="")


@dataclass(frozen=True, kw_only=True)
class RunState:
    """One training run; None where nobody knows."""

    run: str
    is_finished: bool
    state: str
    """`finished`, or the state of its task on the cluster; empty where it has none."""
    note: str
    """What its task says in words; empty where it says nothing."""
    stage: int | None
    """From 1."""
    round: int | None
    """From 1, where all clips are clustered again and again."""
    num_rounds: int | None
    epoch: int | None
    """Of that stage, or over all rounds, from 1."""
    step: int | None
    """Steps done, over all stages."""
    num_steps: int | None
    loss: float | None
    """Of the newest step whose loss is finite."""
    left_out: int
    """Steps that were left out because something in them was not finite."""
    per_second: float | None
    """Steps a second."""
    written_at: float | None
    """When its newest step was written, in seconds since 1970."""


def run_states(root: Root, throughputs: Mapping[str, Throughput]) -> list[RunState]:
    """All runs of a root, by name.

    Args:
        root: Where the runs are.
        throughputs: Of the runs that are tasks of a cluster.
    """
    folders = sorted(path for path in root.runs.glob("*") if path.is_dir())
    return [_run_state(RunPaths(path), throughputs.get(path.name, UNKNOWN)) for path in folders]


def _run_state(run: RunPaths, throughput: Throughput) -> RunState:
    rows = list(_last_rows(run.metrics))
    last: dict[str, Any] = rows[0] if rows else {}
    is_finished = run.final.exists()
    step = last["step"] + 1 if last else None
    losses = (row["loss"] for row in rows if math.isfinite(row.get("loss", math.nan)))
    return RunState(
        run=run.path.name,
        is_finished=is_finished,
        state="finished" if is_finished else throughput.state,
        note="" if is_finished else throughput.note,
        stage=last.get("stage"),
        round=round(last["round"]) if "round" in last else None,
        num_rounds=_num_rounds(run.config) if "round" in last else None,
        epoch=last.get("epoch"),
        step=step,
        num_steps=step if is_finished else throughput.num_steps,
        loss=next(losses, None),
        left_out=_left_out(run.nonfinite_log),
        per_second=None if is_finished else throughput.per_second,
        written_at=run.metrics.stat().st_mtime if rows else None,
    )


def _num_rounds(config: Path) -> int | None:
    if not config.exists():
        return None
    num_rounds: int | None = yaml.safe_load(config.read_text())["train"].get("rounds")
    return num_rounds


def _last_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows at the end of a file of metrics, the newest first."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            content = file.read()
    except FileNotFoundError:
        return
    # What begins in the middle of a line, or was cut off by a kill, is no row.
    lines = content.split(b"\n")[1 if size > TAIL_BYTES else 0 : -1]
    for line in reversed(lines):
        yield json.loads(line)


def _left_out(path: Path) -> int:
    try:
        return path.read_bytes().count(b'"skipped": {')
    except FileNotFoundError:
        return 0
