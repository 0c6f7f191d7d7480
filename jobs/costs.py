"""What a launch will cost: by what earlier tasks of this store took, else by what was measured."""

import contextlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import tyro
from rich.console import Console
from rich.table import Table

from extractors.estimate import Estimate, Load, Rate, estimate
from slurm.board.past import PastTask, past_tasks, tasks_of
from slurm.launch import Step, Target
from slurm.local_pool import slots_of
from slurm.submission import StepFolder

A = TypeVar("A")
WIDTH_WITHOUT_TERMINAL = 100


def cost_of(
    step: Step,
    loads: Mapping[int, Load],
    amounts: Mapping[int, float],
    target: Target,
    *,
    max_running: int | None,
    is_alike: Callable[[Sequence[str]], bool],
    is_telling: Callable[[PastTask], bool] = lambda task: True,
    default: Rate,
) -> Estimate:
    """The estimate of a launch.

    Args:
        step: Whose earlier tasks are looked at.
        loads: Of the shards that are left.
        amounts: Of all shards of the plan, in the unit of the rate.
        target: Where.
        max_running: How many tasks may run at once.
        is_alike: Whether a task with this command did the same work.
        is_telling: Whether such a task's share of its work is a share of its time.
        default: What holds where no earlier task tells.
    """
    resources = target.resources
    return estimate(
        loads,
        _past_rate(step, amounts, target, is_alike, is_telling, default.unit) or default,
        tasks_at_once=_tasks_at_once(target, max_running, len(loads)),
        cpus_per_task=resources.cpus_per_task,
        gpus_per_task=resources.gpus_per_task,
    )


def same_options(kind: type[A], is_same: Callable[[A], bool]) -> Callable[[Sequence[str]], bool]:
    """Whether the arguments of an earlier task's command were those of the same work."""

    def is_alike(command: Sequence[str]) -> bool:
        try:
            with (
                contextlib.redirect_stderr(io.StringIO()),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                return is_same(tyro.cli(kind, args=command[2:]))
        except SystemExit:  # of a version with other options
            return False

    return is_alike


def print_cost(name: str, cost: Estimate) -> None:
    """A table with the numbers and where they come from."""
    table = Table("", name, box=None, pad_edge=False)
    unknown = "unknown: run one shard first, as --array 0"
    rows = {
        "tasks": f"{cost.num_tasks:,}, {cost.tasks_at_once:,} at once",
        "work": f"{cost.amount:,.0f} {cost.rate.unit}",
        "read": f"{cost.bytes_read / 1e12:,.3f} TB",
        "written": f"{cost.bytes_written / 1e12:,.3f} TB in {cost.num_files:,} new files",
        "core-hours": unknown,
    }
    hours, seconds = cost.task_hours, cost.task_seconds
    if hours is not None and cost.wall_seconds is not None and seconds:
        rows["core-hours"] = f"{hours * cost.cpus_per_task:,.1f}"
        if cost.gpus_per_task:
            rows["GPU-hours"] = f"{hours * cost.gpus_per_task:,.1f}"
        longest = max(seconds, key=lambda index: seconds[index])
        rows["wall time"] = f"{_in_words(cost.wall_seconds)} without waiting in the queue"
        rows["longest task"] = f"shard {longest}, {_in_words(seconds[longest])}"
    rows["rate"] = cost.rate.source
    for label, value in rows.items():
        table.add_row(label, value)
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL).print(table)


def planned_and_actual(step: StepFolder) -> str | None:
    """What the last launch was to cost and does, of that part of its work that is done."""
    cost, submissions = Estimate.read(step.path), step.submissions()
    if cost is None or cost.task_seconds is None or not submissions:
        return None
    tasks = [task for task in tasks_of(submissions[-1]) if task.index in cost.task_seconds]
    planned = sum(task.share * cost.task_seconds[task.index] for task in tasks)
    if not planned:
        return None
    actual = sum(task.seconds for task in tasks)
    whole = sum(cost.task_seconds.values()) * actual / planned
    unit, each = ("core", cost.cpus_per_task)
    if cost.gpus_per_task:
        unit, each = "GPU", cost.gpus_per_task
    return (
        f"{step.path.name}: {actual * each / 3600:,.1f} {unit}-hours for what was planned with "
        f"{planned * each / 3600:,.1f} ({actual / planned:.0%}); at this pace all of it takes "
        f"{whole * each / 3600:,.1f}"
    )


def _past_rate(
    step: Step,
    amounts: Mapping[int, float],
    target: Target,
    is_alike: Callable[[Sequence[str]], bool],
    is_telling: Callable[[PastTask], bool],
    unit: str,
) -> Rate | None:
    """By tasks with as many GPUs; without any, cores count."""
    resources = target.resources
    tasks = [
        task
        for task in past_tasks(step.folder, is_alike=is_alike)
        if task.index in amounts and task.gpus == resources.gpus_per_task and is_telling(task)
    ]
    amount = sum(task.share * amounts[task.index] for task in tasks)
    if not amount:
        return None
    if resources.gpus_per_task:
        seconds = sum(task.seconds for task in tasks) / amount
    else:
        seconds = sum(task.seconds * task.cpus for task in tasks) / amount / resources.cpus_per_task
    return Rate(
        seconds=seconds, unit=unit, source=f"measured: {len(tasks):,} earlier tasks of this store"
    )


def _tasks_at_once(target: Target, max_running: int | None, num_tasks: int) -> int:
    limits = [num_tasks, max_running or num_tasks]
    if target.kind == "debug":
        limits.append(1)
    elif target.kind == "local":
        limits.append(len(slots_of(target.resources)))
    return min(limits)


def _in_words(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:,.1f} minutes"
    return f"{seconds / 3600:,.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:,.1f} days"
