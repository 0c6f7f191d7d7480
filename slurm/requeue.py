"""Runs where a job has ended badly: `python -m slurm.requeue FOLDER CHUNK STATUS` puts it back.

All its processes have left by now, so nothing is lost by starting again.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path

from slurm.controller import SlurmError, call
from slurm.details import detail
from slurm.environment import STOPPED_EARLY, Place
from slurm.marker import BEGAN, ENDED, Event, read_events
from slurm.submission import Submission

# To a controller that gives no answer: hundreds of tasks are preempted at the same moment.
SECONDS_BETWEEN_TRIES = (2.0, 4.0, 8.0, 16.0, 32.0)
# A job that was cancelled, or that a call without an answer has put back after all.
LEFT_ALONE = frozenset({"CANCELLED", "COMPLETING", "PENDING"})

MOST_IDLE_STARTS = 5
# A command that does not say how far it has come has come somewhere in so long.
SECONDS_OF_USE = 600.0


def requeue(submission: Submission, index: int, place: Place, status: int) -> None:
    """Put a job back into the queue if it was stopped, has saved its state and got on before.

    Args:
        submission: What it was to do.
        index: Its shard.
        place: The job, and how often it was started.
        status: With which its processes ended, as srun says.
    """
    if not was_stopped(submission, index, place, status):
        return
    if not submission.manifest.resources.may_requeue:
        return
    events = [e for e in read_events(submission.marker(index)) if e.job_id == place.job_id]
    if idle_starts(events, restart=place.restart) < MOST_IDLE_STARTS:
        complaint = _put_back(place.job_id)
    else:
        minutes = submission.manifest.resources.time_limit_minutes
        complaint = (
            f"{MOST_IDLE_STARTS} starts in a row were stopped before they got any further; where "
            f"it was the time limit, submit it again with more than --time-limit-minutes {minutes}"
        )
    if complaint:
        with submission.log(index).open("a") as log:
            log.write(f"not put back into the queue: {complaint}\n")


def was_stopped(submission: Submission, index: int, place: Place, status: int) -> bool:
    """Whether the job ended because a process of it was asked to, and wants to go on.

    srun says the highest status of all: where one has left with its work saved, or before it had
    any, another may wait for it where it hears nothing, until it is killed.
    """
    shape = submission.manifest.shape
    words = (
        event
        for rank in range(shape.nodes * shape.tasks_per_node)
        for event in read_events(submission.marker(index, rank=rank))
        if (event.job_id, event.restart) == (place.job_id, place.restart)
    )
    return status == STOPPED_EARLY or any(event.status == STOPPED_EARLY for event in words)


def idle_starts(events: Sequence[Event], *, restart: int) -> int:
    """How many starts of a job in a row, to this one, have got no further than one before."""
    began = {event.restart: event.seconds for event in events if event.kind == BEGAN}
    last_useful, furthest = -1, 0
    for event in (event for event in events if event.kind == ENDED):
        if event.done is None:
            lasted = event.seconds - began.get(event.restart, event.seconds)
            is_useful = lasted >= SECONDS_OF_USE
        else:
            is_useful = event.done > furthest
            furthest = max(furthest, event.done)
        if is_useful:
            last_useful = max(last_useful, event.restart)
    return restart - last_useful


def _put_back(job_id: str) -> str:
    """Ask for it until SLURM answers; what it complains of, if that was in vain."""
    for seconds in SECONDS_BETWEEN_TRIES:
        try:
            # With its index: the id of an array is also that of one of its tasks.
            if detail("job", job_id, "JobState") not in LEFT_ALONE:
                call("scontrol", "requeue", job_id)
        except SlurmError as error:
            print(f"{error}; trying again", flush=True)
            time.sleep(random.uniform(0.5, 1) * seconds)
        else:
            return ""
    try:
        # SLURM kills what it has cancelled sooner than this: to be alive is not to be cancelled.
        call("scontrol", "requeue", job_id)
    except SlurmError as error:
        return str(error)
    return ""


def main() -> None:
    """Find the shard of this job, and put it back if it wants to go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the submission")
    parser.add_argument("chunk", type=int, help="number of its array")
    parser.add_argument("status", type=int, help="that of srun")
    arguments = parser.parse_args()
    submission, place = Submission.read(arguments.folder), Place.current()
    index = submission.shard_at(arguments.chunk, place.array_index)
    requeue(submission, index, place, arguments.status)


if __name__ == "__main__":
    main()
