"""The boards of all steps for a terminal: where everything stands."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from slurm.board.board import StepBoard
from slurm.board.usage import Usage
from slurm.board.words import UNKNOWN, duration, moment, percent, rate

STYLES = {
    "COMPLETED": "green",
    "COMPLETING": "cyan",
    "CONFIGURING": "cyan",
    "RUNNING": "cyan",
    "PENDING": "",
    "REQUEUED": "",
    "SUSPENDED": "yellow",
}
BAD = "red"
# 999 OUT_OF_MEMORY
LONGEST_STATE = 17


def steps_table(boards: Sequence[StepBoard], now: float) -> Table:
    """A row for each step, however many tasks it has.

    Args:
        boards: Of the steps.
        now: Seconds since 1970, from which the time left is counted.
    """
    table = _table()
    table.add_column("step", overflow="fold")
    table.add_column("tasks", justify="right")
    table.add_column("states", min_width=LONGEST_STATE)
    for name in ("done", "rate", "left", "restarts"):
        table.add_column(name, justify="right", no_wrap=True)
    for board in boards:
        table.add_row(
            board.step,
            f"{board.tasks:,}",
            _states(board),
            _done(board),
            _rates(board),
            _left(board, now),
            f"{board.restarts:,}",
        )
    return table


def efficiency_table(boards: Sequence[StepBoard]) -> Table | None:
    """What ended tasks used of what they had asked for; None where nobody knows."""
    known = [board for board in boards if any(_usages(board))]
    if not known:
        return None
    table = _table()
    table.add_column("median use, worst (its shard)", overflow="fold")
    for name in ("CPU", "memory", "GPU"):
        table.add_column(name, no_wrap=True)
    for board in known:
        table.add_row(board.step, *(_usage(usage, board) for usage in _usages(board)))
    return table


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def _states(board: StepBoard) -> Text:
    """A line for each state."""
    lines = []
    width = max(len(f"{number:,}") for number in board.states.values())
    for state, number in board.states.items():
        line = Text(f"{number:>{width},} {state}", style=STYLES.get(state, BAD))
        if state == "PENDING" and board.waiting_for:
            line.append(f" ({', '.join(board.waiting_for)})", style="dim")
        lines.append(line)
    return Text("\n").join(lines)


def _done(board: StepBoard) -> str:
    work = board.work
    if work.total is None:
        return UNKNOWN
    about = "~" if work.is_estimate else ""
    share = f", {percent(work.done / work.total)}" if work.total else ""
    return f"{work.done:,} {work.unit}\nof {about}{work.total:,}{share}"


def _rates(board: StepBoard) -> str:
    work = board.work
    if work.per_second is None:
        return UNKNOWN
    rates = [rate(work.per_second, work.unit)]
    if work.frames_per_second is not None:
        rates.append(rate(work.frames_per_second, "frames"))
    return "\n".join(rates)


def _left(board: StepBoard, now: float) -> Text:
    seconds = board.work.seconds_left
    if seconds is not None:
        return Text.assemble((duration(seconds), "bold"), f"\n{moment(now + seconds, now)}")
    is_complete = board.done == board.tasks
    return Text("complete", style="green") if is_complete else Text(UNKNOWN)


def _usages(board: StepBoard) -> tuple[Usage | None, Usage | None, Usage | None]:
    return board.efficiency.cpu, board.efficiency.memory, board.efficiency.gpu


def _usage(usage: Usage | None, board: StepBoard) -> str:
    if usage is None:
        return UNKNOWN
    if board.tasks == 1:
        return percent(usage.median)
    return f"{percent(usage.median)}, worst {percent(usage.worst)} ({usage.worst_shard})"
