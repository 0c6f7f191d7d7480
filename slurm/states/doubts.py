"""Where the sources of a task's state disagree, or are silent, in a sentence."""

import time

from slurm.states.evidence import Evidence
from slurm.states.task_state import GONE
from slurm.submit import FINAL_STATES

# A job leaves its node so soon after its command has ended.
SECONDS_TO_LEAVE = 300.0


def doubt_of(task: Evidence, state: str, *, is_live: bool) -> str:
    """What speaks against the state; empty where nothing does."""
    if is_live:
        return _of_live(task, state)
    if state == GONE:
        return _of_gone(task)
    slurms = {
        source.state
        for source in (task.entry, task.account)
        if source is not None and source.state in FINAL_STATES
    }
    if len(slurms) > 1:
        return f"the queue says {state}, but the accounts say {', '.join(slurms - {state})}"
    if state == "COMPLETED" and not task.ended_well:
        return f"SLURM says COMPLETED, but {_marker_says(task)}"
    if state != "COMPLETED" and task.ended_well:
        return f"SLURM says {state}, but {_marker_says(task)}"
    if task.entry is None and task.account is not None and not slurms:
        return f"the accounts say {task.account.state}, but the queue has it no more"
    return ""


def _of_live(task: Evidence, state: str) -> str:
    if task.is_of_slurm and task.entry is None:
        return "sbatch has not answered yet, and the queue does not show it"
    is_over = task.ended is not None and time.time() - task.ended.seconds > SECONDS_TO_LEAVE
    if state == "RUNNING" and is_over:
        return f"the queue says RUNNING, but {_marker_says(task)} minutes ago"
    return ""


def _of_gone(task: Evidence) -> str:
    if not task.is_of_slurm:
        return f"it does not run on this machine, and {_marker_says(task)}"
    if not task.job_id:
        if task.is_answered:
            return "SLURM refused its array"
        return "sbatch never said whether SLURM has taken it, and the queue does not show it"
    if task.account is not None:
        return f"the accounts say {task.account.state}, but the queue has it no more"
    where = f" (sbatch gave it to cluster {task.cluster})" if task.cluster else ""
    return f"neither the queue nor the accounts know how it ended{where}, and {_marker_says(task)}"


def _marker_says(task: Evidence) -> str:
    if task.ended is not None:
        how = f"status {task.ended.status}" if task.ended.signal == "" else task.ended.signal
        return f"its own marker says that the command ended with {how}"
    if task.began is not None:
        return f"its own marker says that it began on {task.began.node}, and not that it ended"
    return "its own marker does not say that it began"
