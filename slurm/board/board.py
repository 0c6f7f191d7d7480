"""One step on one page: its states, its work, its failures, joined from all that knows of it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slurm.array import range_text
from slurm.board.failures import Failure, group_by_cause
from slurm.board.progress import TaskProgress, read_progress
from slurm.board.sources import Answers, was_given_to_slurm
from slurm.board.usage import StepUsage, usage_of
from slurm.board.work import Work, sum_up
from slurm.controller import QueueEntry
from slurm.states.judgement import bad_nodes, ended_short, exclude_option
from slurm.states.task_state import TaskState
from slurm.submission import StepFolder


@dataclass(frozen=True, kw_only=True)
class StepBoard:
    """What is known of all tasks of a step."""

    step: str
    path: str
    is_on_slurm: bool
    """Whether SLURM was given any of its tasks; else they are those of a machine."""
    tasks: int
    states: dict[str, int]
    """Number of tasks by SLURM's word for their state, the most frequent first."""
    waiting_for: dict[str, int]
    """Number of waiting tasks by SLURM's word for what they wait for."""
    done: int
    """Tasks that ended well."""
    live: int
    """Tasks that SLURM will still do something with."""
    short: str
    """Shards whose task ended short and will do nothing more: `3,7,20-29`."""
    num_short: int
    restarts: int
    work: Work
    failures: list[Failure]
    efficiency: StepUsage
    doubts: list[str]
    """Where sources disagree, a sentence each."""
    bad_nodes: dict[str, str]
    """Nodes on which tasks keep failing, and why they are held for bad."""
    exclude: str
    """The option that keeps new tasks off them; empty where there are none."""


def step_folders(logs: Path) -> list[StepFolder]:
    """The steps below the folder of logs that have been submitted at least once, by name."""
    folders = sorted(path.parent for path in logs.glob("*/submissions"))
    return [folder for folder in map(StepFolder, folders) if folder.submissions()]


def board_of(
    step: StepFolder, states: Mapping[int, TaskState], answers: Answers, now: float
) -> StepBoard:
    """The board of a step whose states are known.

    Args:
        step: The step.
        states: Of each of its shards.
        answers: What SLURM said.
        now: Seconds since 1970.
    """
    counts = Counter(state.state for state in states.values())
    submissions = {state.submission.path: state.submission for state in states.values()}
    short = ended_short(states)
    bad = bad_nodes(states)
    return StepBoard(
        step=step.path.name,
        path=str(step.path),
        is_on_slurm=any(was_given_to_slurm(s) for s in submissions.values()),
        tasks=len(states),
        states=dict(counts.most_common()),
        waiting_for=_waiting_for(states, answers.queue or []),
        done=sum(state.is_done for state in states.values()),
        live=sum(state.is_live for state in states.values()),
        short=range_text(short),
        num_short=len(short),
        restarts=sum(state.restarts for state in states.values()),
        work=sum_up(states, _newest_progress(step, states), now),
        failures=group_by_cause(states, short),
        efficiency=usage_of(states.values()),
        doubts=_doubts(states),
        bad_nodes=bad,
        exclude=exclude_option(bad, states.values()) if bad else "",
    )


def _newest_progress(step: StepFolder, indices: Collection[int]) -> dict[int, TaskProgress]:
    """The last word of each shard, of whichever submission it was."""
    newest: dict[int, TaskProgress] = {}
    for submission in reversed(step.submissions()):
        for index in submission.manifest.indices:
            if index in indices and index not in newest:
                said = read_progress(submission.progress(index))
                if said is not None:
                    newest[index] = said
    return newest


def _waiting_for(states: Mapping[int, TaskState], queue: Sequence[QueueEntry]) -> dict[str, int]:
    job_ids = {state.job_id for state in states.values() if state.state == "PENDING"}
    reasons = (entry.reason.strip("()") for entry in queue if entry.job_id in job_ids)
    return dict(Counter(reason for reason in reasons if reason not in ("", "None")).most_common())


def _doubts(states: Mapping[int, TaskState]) -> list[str]:
    shards: dict[str, list[int]] = defaultdict(list)
    for index, state in states.items():
        if state.doubt:
            shards[state.doubt].append(index)
    return [f"shard {range_text(of)}: {doubt}" for doubt, of in shards.items()]
