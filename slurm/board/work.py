"""Videos done and left, their rate and the time that they will take, over all tasks of a step."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean

from slurm.board.progress import TaskProgress
from slurm.states.task_state import TaskState

# A task that runs says something every few seconds; one long video may keep it busy for minutes.
SECONDS_OF_SILENCE = 900.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the tasks of a step have done, and what those that go on have still to do."""

    unit: str
    """What is counted, as `videos`; empty where no task has said anything yet."""
    done: int
    total: int | None
    """None where no task has said how much it has to do."""
    is_estimate: bool
    """Whether tasks that have said nothing yet are counted as the mean of the others."""
    per_second: float | None
    """By the tasks that run, since each of them started; None where none runs."""
    frames_per_second: float | None
    seconds_left: float | None
    """Until all tasks that wait or run have ended, at this rate; None where nobody can know."""
    silent: dict[int, float]
    """Seconds since the last word of running tasks that should have said something by now."""
    notes: dict[int, str]
    """What running tasks say in words beside their counts."""


def sum_up(
    states: Mapping[int, TaskState], progress: Mapping[int, TaskProgress], now: float
) -> Work:
    """The work of a step.

    Args:
        states: Of each shard.
        progress: The last word of those shards that have said anything.
        now: Seconds since 1970.
    """
    guess = mean(said.total for said in progress.values()) if progress else None
    left = {i: _left(state, progress.get(i), guess) for i, state in states.items()}
    totals = [progress[i].total if i in progress else guess for i in states]
    total = None if guess is None else round(sum(n for n in totals if n is not None))
    running = {i: progress[i] for i in states if _speaks(states[i], progress.get(i))}
    silent = {
        i: now - said.updated_at
        for i, said in running.items()
        if now - said.updated_at > SECONDS_OF_SILENCE
    }
    active = {i: said for i, said in running.items() if i not in silent}
    live = {i: left[i] for i, state in states.items() if state.is_live}
    return Work(
        unit=next((said.unit for said in progress.values()), ""),
        done=0 if total is None else round(total - sum(n for n in left.values() if n is not None)),
        total=total,
        is_estimate=total is not None and any(i not in progress for i in states),
        per_second=sum(said.per_second for said in active.values()) if running else None,
        frames_per_second=(
            sum(said.frames_per_second for said in active.values())
            if any(said.frames for said in progress.values()) and running
            else None
        ),
        seconds_left=_seconds_left(live, active),
        silent=silent,
        notes={i: said.note for i, said in active.items() if said.note},
    )


def _left(state: TaskState, said: TaskProgress | None, guess: float | None) -> float | None:
    if state.is_done:
        return 0.0
    return guess if said is None else float(said.total - said.done)


def _speaks(state: TaskState, said: TaskProgress | None) -> bool:
    """Whether a task runs, and its last word is of this start and not of an earlier one."""
    if state.state != "RUNNING" or said is None:
        return False
    return state.started_at is None or said.updated_at >= state.started_at


def _seconds_left(
    live: Mapping[int, float | None], active: Mapping[int, TaskProgress]
) -> float | None:
    """The slowest task decides, or all that is left at the rate of all."""
    rate = sum(said.per_second for said in active.values())
    amounts = [amount for amount in live.values() if amount is not None]
    if not live or len(amounts) < len(live) or rate <= 0:
        return None
    alone = [
        (said.total - said.done) / said.per_second
        for said in active.values()
        if said.per_second > 0
    ]
    return max(sum(amounts) / rate, *alone)
