"""One screen of all that goes on: `python jobs/status.py`, and `--watch`, `--log 42`, `--resubmit`.

`--progress` shows the stages of the preparation, now and on a later day.

With `--json` the same as one JSON value, whose keys stay what they are. Shards are written as SLURM
writes them (`3,7,20-29`), times are seconds since 1970, shares lie between 0 and 1, and what nobody
knows is null:

    at            when the answers were got
    complaints    a sentence for each question to which SLURM gave no answer
    steps         for each step that was launched:
      step, path  its name and the folder of its logs
      is_on_slurm whether SLURM was given any of its tasks
      tasks, states, waiting_for       number of tasks; by SLURM's word for their state; by that for
                                       what they wait for
      done, live, num_short, short     tasks that ended well; that SLURM will still do something
                                       with; that ended short, and their shards
      restarts                         how often tasks were started again
      work        unit, done, total, is_estimate, per_second, frames_per_second, seconds_left,
                  silent (seconds since the last word of tasks that should have said something),
                  notes (what running tasks say in words)
      failures    by cause: cause, tasks, shards, states, example_log, last_line
      efficiency  cpu, memory, gpu, each with median, worst, worst_shard, tasks
      doubts      where sources disagree, a sentence each
      bad_nodes   nodes on which tasks keep failing, and why
      exclude     the option that keeps new tasks off them
    runs          for each training run: run, is_finished, state, note (what its task says in
                  words), stage, round and num_rounds (of xdc), epoch, step, num_steps, loss,
                  left_out, per_second, written_at
    lost_videos   for each step that lost videos, their number by reason
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tyro
from rich.console import Console
from tyro.conf import OmitArgPrefixes

from jobs.command import run_command
from jobs.costs import planned_and_actual
from mcn.data.stores import Features
from mcn.report.lost_videos import lost_videos
from mcn.report.runs import RunState, Throughput, run_states
from mcn.report.runs_table import lost_videos_lines, runs_table
from mcn.root import Root
from slurm.board.board import StepBoard, board_of, step_folders
from slurm.board.pace import Pace
from slurm.board.resubmission import resubmit_short
from slurm.board.screen import efficiency_table, steps_table
from slurm.board.sources import Sources
from slurm.board.states import states_of
from slurm.board.task_log import print_logs
from slurm.board.troubles import advice_lines, doubt_lines, failure_lines
from slurm.controller import SlurmError
from slurm.states.task_state import TaskState
from slurm.submission import StepFolder

COLUMNS_WITHOUT_TERMINAL = 120


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Show where everything stands: tasks, videos, failures and training runs."""

    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    step: str | None = None
    """This step alone, as extract or train-AV_T-seed0."""
    watch: bool = False
    """Look again and again, ever less often while nothing changes; Ctrl-C ends it."""
    json: bool = False
    """Print everything as one JSON value."""
    log: int | None = None
    """Print the end of what the task of this shard said, and SLURM of it."""
    lines: int = 30
    """How many lines of each log."""
    resubmit: bool = False
    """Submit again exactly what ended short, each after what it waits for."""
    exclude: str | None = None
    """Nodes not to use then, as node1,node[7-9], instead of those excluded before."""
    dry_run: bool = False
    """With --resubmit: say what would be submitted, and submit nothing."""
    progress: bool = False
    """Print how many videos have passed each stage, and how many will have on a later day. Each
    look goes into logs/progress.jsonl, from which the forecast is made."""
    until: str | None = None
    """With --progress: the later day, as 2023-08-31; by default in a week."""
    backtest: bool = False
    """With --progress: how far off the forecasts were that the log would have given in the past."""
    features: OmitArgPrefixes[Features] = field(default_factory=Features)


@dataclass(frozen=True, kw_only=True)
class Look:
    """All that one look saw."""

    at: float
    complaints: list[str]
    steps: list[StepBoard]
    runs: list[RunState]
    lost_videos: dict[str, dict[str, int]]


def main(arguments: Arguments) -> None:
    """Do what was asked."""
    root = Root.resolve(arguments.root)
    if arguments.log is not None:
        print_logs(_find_task(root, arguments, arguments.log), lines=arguments.lines)
    elif arguments.resubmit:
        _resubmit(root, arguments)
    elif arguments.progress:
        _show_progress(root, arguments)
    elif arguments.watch:
        watch(root, arguments)
    elif arguments.json:
        print(json.dumps(asdict(_look(root, Sources(), arguments)), indent=1, allow_nan=False))
    else:
        _print(Console(width=_width()), root, _look(root, Sources(), arguments))


def _look(root: Root, sources: Sources, arguments: Arguments) -> Look:
    folders = _steps(root, arguments)
    answers = sources.look(folders)
    now = time.time()
    boards = [board_of(folder, states_of(folder, answers), answers, now) for folder in folders]
    throughputs = {
        board.step.removeprefix("train-"): Throughput(
            num_steps=board.work.total,
            per_second=board.work.per_second,
            state=next(iter(board.states)),
            note=next(iter(board.work.notes.values()), ""),
        )
        for board in boards
        if board.step.startswith("train-")
    }
    look = Look(
        at=now,
        complaints=answers.complaints,
        steps=boards,
        runs=run_states(root, throughputs),
        lost_videos=lost_videos(root),
    )
    if not (look.steps or look.runs or look.lost_videos):
        raise ValueError(f"{root.path}: nothing was launched here yet")
    return look


def _steps(root: Root, arguments: Arguments) -> list[StepFolder]:
    folders = step_folders(root.logs)
    if arguments.step is None:
        return folders
    chosen = [folder for folder in folders if folder.path.name == arguments.step]
    if not chosen:
        names = ", ".join(folder.path.name for folder in folders) or "none at all"
        raise ValueError(f"--step {arguments.step}: {root.logs} has {names}")
    return chosen


def _print(console: Console, root: Root, look: Look) -> None:
    at = time.strftime("%a %d %b %H:%M", time.localtime(look.at))
    console.print(f"{root.path}  {at}", "", soft_wrap=True, markup=False, highlight=False, sep="\n")
    for complaint in look.complaints:
        console.print(complaint, "", sep="\n", style="yellow", soft_wrap=True, markup=False)
    used = efficiency_table(look.steps)
    tables = [
        *([steps_table(look.steps, look.at)] if look.steps else []),
        *([runs_table(look.runs)] if look.runs else []),
        *([used] if used is not None else []),
    ]
    for table in tables:
        console.print(table, "")
    costs = (planned_and_actual(StepFolder(Path(board.path))) for board in look.steps)
    sections = {
        "planned and actual": filter(None, costs),
        "ended short": failure_lines(look.steps),
        "lost videos": lost_videos_lines(look.lost_videos),
        "doubtful": doubt_lines(look.steps),
        "to do": advice_lines(look.steps),
    }
    for heading, lines in sections.items():
        shown = list(lines)
        if shown:
            console.print(heading, style="bold")
            console.print(*shown, "", sep="\n", soft_wrap=True, markup=False, highlight=False)


def watch(root: Root, arguments: Arguments, *, wait: Callable[[float], None] = time.sleep) -> None:
    """Look again and again until Ctrl-C."""
    sources, pace, console = Sources(), Pace(), Console(width=_width())
    has_looked = False
    try:
        while True:
            seen: object
            try:
                look = _look(root, sources, arguments)
            except (OSError, ValueError) as error:
                # A file system may fail for a moment, and a file be removed or replaced. What is
                # wrong with the first look is wrong with what was asked for.
                if isinstance(error, ValueError) and not has_looked:
                    raise
                seen = str(error)
                console.print(seen, style="yellow", soft_wrap=True, markup=False)
            else:
                has_looked = True
                seen = (
                    [(board.step, board.states, board.restarts) for board in look.steps],
                    look.complaints,
                )
                console.clear()
                _print(console, root, look)
            seconds = pace.seconds_to_wait(seen)
            print(f"{time.strftime('%a %H:%M:%S')}, next look in {seconds:.0f} s; Ctrl-C ends")
            wait(seconds)
    except KeyboardInterrupt:
        print()


def _find_task(root: Root, arguments: Arguments, index: int) -> TaskState:
    """The task of the shard that `--log` names."""
    folders = _steps(root, arguments)
    of = [folder for folder in folders if index in folder.newest_of_each_task()]
    if not of:
        raise ValueError(f"--log {index}: no step in {root.logs} has such a shard")
    if len(of) > 1:
        names = ", ".join(folder.path.name for folder in of)
        raise ValueError(f"--log {index}: which --step? {names} have such a shard")
    return states_of(of[0], Sources().look(of))[index]


def _resubmit(root: Root, arguments: Arguments) -> None:
    """Submit again what ended short, step by step."""
    folders, chosen = step_folders(root.logs), _steps(root, arguments)
    if not folders:
        raise ValueError(f"{root.path}: nothing was launched here yet")
    answers = Sources().look(folders)
    if answers.is_queue_missing:
        raise SlurmError(f"{answers.complaints[0]}; nothing was submitted")
    resubmit_short(
        {folder: states_of(folder, answers) for folder in folders},
        answers.queue or [],
        chosen=chosen,
        exclude=arguments.exclude,
        is_dry_run=arguments.dry_run,
    )


def _show_progress(root: Root, arguments: Arguments) -> None:
    # Its plots take half a second to import, which the screen cannot spare.
    from mcn.report.backlog.show import show_progress

    show_progress(
        root,
        arguments.features,
        Console(width=_width()),
        until=arguments.until,
        is_backtest=arguments.backtest,
        is_json=arguments.json,
    )


def _width() -> int | None:
    return None if sys.stdout.isatty() else COLUMNS_WITHOUT_TERMINAL


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
