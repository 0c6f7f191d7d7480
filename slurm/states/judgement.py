"""The truth about each task of a step, from the queue, the accounts, its own marker and its logs.

The queue is asked first: it alone knows what SLURM is about to do. What has left it is told by the
accounts, where they speak of the task's newest start; else by its marker and by what SLURM wrote
into its log. A task of which nobody says how it ended is GONE, and never taken for done.
"""

import time
from collections.abc import Mapping, Sequence

from slurm.controller import QueueEntry
from slurm.states.accounts import Account
from slurm.states.clock import duration_seconds, seconds_since_1970
from slurm.states.doubts import doubt_of
from slurm.states.efficiency import efficiency_of
from slurm.states.evidence import Evidence, gather
from slurm.states.logs import cause_of, end_in_slurm_log, since_start, tail
from slurm.states.nodes import bad_nodes, exclude_option
from slurm.states.task_state import GONE, TaskState
from slurm.submission import StepFolder
from slurm.submit import FINAL_STATES, SECONDS_UNTIL_KNOWN

__all__ = ["GONE", "TaskState", "bad_nodes", "ended_short", "exclude_option", "task_states"]

COMPLETED = "COMPLETED"
PENDING = "PENDING"
REQUEUED = "REQUEUED"
RUNNING = "RUNNING"

CAUSES_BY_STATE = {
    "BOOT_FAIL": "node",
    "CANCELLED": "cancelled",
    "DEADLINE": "time limit",
    "NODE_FAIL": "node",
    "OUT_OF_MEMORY": "out of memory",
    "PREEMPTED": "preempted",
    "REVOKED": "cancelled",
    "TIMEOUT": "time limit",
}
# SLURM looks at time limits twice a minute.
LIMIT_SLACK_SECONDS = 60.0
# A job of many nodes has a few lines from each.
LINES_OF_SLURM = 100
# An exception with the calls that led to it.
LINES_OF_TASK = 60


def task_states(
    step: StepFolder, queue: Sequence[QueueEntry], accounts: Sequence[Account] | None
) -> dict[int, TaskState]:
    """One state for each shard, judged by the newest submission that holds it, in rising order.

    Args:
        step: The step.
        queue: What `squeue` says now.
        accounts: What `sacct` says of the jobs that have left the queue; None where there are none.
    """
    evidence = sorted(gather(step, queue, accounts), key=lambda task: task.index)
    return {task.index: _judge(task) for task in evidence}


def ended_short(states: Mapping[int, TaskState]) -> list[int]:
    """Shards whose newest task is not done and will do nothing more: those to submit again."""
    return [index for index, state in states.items() if not (state.is_done or state.is_live)]


def _judge(task: Evidence) -> TaskState:
    state, said_by = _state(task)
    is_live = state not in FINAL_STATES and state != GONE
    # Of several processes the marker knows the first only.
    is_done = not is_live and task.ended_well and (task.num_processes == 1 or state == COMPLETED)
    used = None if is_live else efficiency_of(task)
    return TaskState(
        index=task.index,
        submission=task.submission,
        job_id=task.job_id,
        state=state,
        is_live=is_live,
        is_done=is_done,
        said_by=said_by,
        doubt=doubt_of(task, state, is_live=is_live),
        node="" if state in (PENDING, REQUEUED) else _node(task),
        restarts=_restarts(task, state),
        started_at=_started_at(task, state),
        ended_at=None if is_live else _ended_at(task),
        cause="" if is_live or is_done else _cause(task, state),
        cpu_efficiency=used.cpu if used else None,
        memory_efficiency=used.memory if used else None,
        gpu_efficiency=used.gpu if used else None,
    )


def _state(task: Evidence) -> tuple[str, str]:
    """The state, and who says so."""
    if task.entry is not None:
        has_run = task.began or (task.account and task.account.restarts)
        is_put_back = task.entry.state == PENDING and has_run
        return (REQUEUED if is_put_back else task.entry.state), "queue"
    if task.account is not None and task.account.state in FINAL_STATES:
        return task.account.state, "accounts"
    if task.ended_well and task.signalled is None:
        return COMPLETED, "marker"
    if task.began is not None:
        said = end_in_slurm_log(_slurm_log(task), task.began)
        if said:
            return said, "log"
    if task.ended is not None:
        return (COMPLETED if task.ended_well else "FAILED"), "marker"
    if _may_be_live(task):
        return (RUNNING if task.began else PENDING), "marker"
    return GONE, "marker"


def _may_be_live(task: Evidence) -> bool:
    """Whether a task without an end may be at work though the queue does not show it."""
    if not task.is_of_slurm:
        return task.is_alive_here
    # Whoever looks may not write there, so this clock has to do; a launch knows better.
    return not task.is_answered and time.time() - task.submission.touched_at() < SECONDS_UNTIL_KNOWN


def _cause(task: Evidence, state: str) -> str:
    if state in CAUSES_BY_STATE:
        return CAUSES_BY_STATE[state]
    own_log = tail(task.submission.log(task.index), lines=LINES_OF_TASK)
    cause = cause_of(_slurm_log(task), own_log, task.ended)
    # The same signal announces both; the time that has passed tells which.
    return "time limit" if cause == "preempted" and _is_near_limit(task) else cause


def _is_near_limit(task: Evidence) -> bool:
    if task.began is None or task.ended is None:
        return False
    resources = task.submission.manifest.resources
    warned_after = resources.time_limit_minutes * 60 - resources.warning_seconds
    return task.ended.seconds - task.began.seconds >= warned_after - LIMIT_SLACK_SECONDS


def _slurm_log(task: Evidence) -> str:
    """What SLURM wrote of its newest start."""
    if not task.job_id:
        return ""
    text = tail(task.submission.slurm_log(task.job_id), lines=LINES_OF_SLURM)
    return since_start(text, task.began) if task.began else text


def _node(task: Evidence) -> str:
    if task.entry is not None and task.entry.nodes:
        return task.entry.nodes
    if task.account is not None and task.account.nodes:
        return task.account.nodes
    return task.began.node if task.began else ""


def _restarts(task: Evidence, state: str) -> int:
    counted = [task.account.restarts] if task.account else []
    if task.began:
        # It has been put back, and has not begun again.
        counted.append(task.began.restart + (state == REQUEUED))
    return max(counted, default=0)


def _started_at(task: Evidence, state: str) -> float | None:
    if state in (PENDING, REQUEUED):
        return None
    said = [task.entry.starts_at] if task.entry else []
    if task.account:
        said.append(task.account.started)
    known = [seconds for text in said if (seconds := seconds_since_1970(text)) is not None]
    return known[0] if known else task.began.seconds if task.began else None


def _ended_at(task: Evidence) -> float | None:
    if task.account and (seconds := seconds_since_1970(task.account.ended)) is not None:
        return seconds
    if task.entry:
        started = seconds_since_1970(task.entry.starts_at)
        lasted = duration_seconds(task.entry.elapsed)
        if started is not None and lasted is not None:
            return started + lasted
    return task.ended.seconds if task.ended else None
