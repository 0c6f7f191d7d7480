"""The states of a step by SLURM's answers, also where there are none."""

import dataclasses

from slurm.board.sources import Answers
from slurm.states.judgement import task_states
from slurm.states.task_state import GONE, TaskState
from slurm.submission import StepFolder


def states_of(step: StepFolder, answers: Answers) -> dict[int, TaskState]:
    """The state of each shard, by what SLURM said.

    Where the queue could not be asked nobody knows whether a task is gone: it is as its marker
    says, and held for live, so that nothing is submitted twice.
    """
    states = task_states(step, answers.queue or [], answers.accounts)
    if not answers.is_queue_missing:
        return states
    return {index: _unless_gone(state) for index, state in states.items()}


def _unless_gone(state: TaskState) -> TaskState:
    is_local = state.job_id.startswith("local-")
    if state.state != GONE or is_local:
        return state
    word = "PENDING" if state.started_at is None else "RUNNING"
    return dataclasses.replace(state, state=word, is_live=True, cause="", doubt="")
