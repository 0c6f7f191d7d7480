"""What became of one task."""

from dataclasses import dataclass

from slurm.submission import Submission

# Not in the queue, not in the accounts, and its own marker has no end.
GONE = "GONE"


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """The state of a shard's newest task, and who says so."""

    index: int
    """The shard."""
    submission: Submission
    """The newest one that holds it."""
    job_id: str
    """`123`, or `123_4` for a task of an array; empty where SLURM is not known to have it."""
    state: str
    """SLURM's word in full, as NODE_FAIL; REQUEUED for one that waits to be started again; or
    GONE."""
    is_live: bool
    """Whether SLURM will still do something with it."""
    is_done: bool
    """Whether the command has ended with status 0, by its own marker."""
    said_by: str
    """`queue`, `accounts`, `marker` or `log`."""
    doubt: str
    """A sentence where the sources disagree or are silent; else empty."""
    node: str
    restarts: int
    """How often SLURM has put it back."""
    started_at: float | None
    """Seconds since 1970, of the newest start; so below."""
    ended_at: float | None
    cause: str
    """Of a task that ended badly, one of `slurm.states.logs.CAUSES`; else empty."""
    cpu_efficiency: float | None
    """Part of what it was given that it used, 0 to 1, once ended; so below."""
    memory_efficiency: float | None
    gpu_efficiency: float | None
