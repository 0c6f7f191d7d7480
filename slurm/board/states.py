"""The states of a step by SLURM's answers, also where there are none."""

import dataclasses

from slurm.board.sources import Answers, was_given_to_slurm
from slurm.states.judgement import REQUEUED, task_states
from slurm.states.task_state import GONE, TaskState
from slurm.submission import StepFolder

# What ended in one of these is started again by most sites.
STATES_BEFORE_REQUEUE = frozenset({"NODE_FAIL", "PREEMPTED"})
# For these a command leaves that has saved its state, and its script asks for another start.
CAUSES_OF_REQUEUE = frozenset({"preempted", "time limit"})


def states_of(step: StepFolder, answers: Answers) -> dict[int, TaskState]:
    """The state of each shard, by what SLURM said.

    Where the queue could not be asked nobody knows whether a task is gone, or waits to be started
    again: it is as its marker says, and held for live, so that nothing is submitted twice.
    """
    states = task_states(step, answers.queue or [], answers.accounts)
    if not answers.is_queue_missing:
        return states
    return {index: _unless_over(state) for index, state in states.items()}


def _unless_over(state: TaskState) -> TaskState:
    is_local = state.job_id.startswith("local-") or not was_given_to_slurm(state.submission)
    if is_local or state.is_live or state.is_done or state.said_by == "accounts":
        return state
    if state.state == GONE:
        word, doubt = ("PENDING" if state.started_at is None else "RUNNING"), ""
    elif _may_be_requeued(state):
        word = REQUEUED
        doubt = (
            f"it was stopped ({state.cause}); whether it is to be started again the queue knows, "
            "which cannot be asked"
        )
    else:
        return state
    return dataclasses.replace(state, state=word, is_live=True, cause="", doubt=doubt)


def _may_be_requeued(state: TaskState) -> bool:
    has_left = state.state == "FAILED" and state.cause in CAUSES_OF_REQUEUE
    return has_left or state.state in STATES_BEFORE_REQUEUE
