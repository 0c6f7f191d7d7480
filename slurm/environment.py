"""Where this process runs: what SLURM says in the environment, and what a task is told there."""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

# What sysexits.h calls a temporary failure: a command that was asked to stop has saved its state,
# and the same command carries on.
STOPPED_EARLY = 75

TASK_INDEX = "TASK_INDEX"
TASK_OWNER = "TASK_OWNER"
TASK_PROGRESS = "TASK_PROGRESS"


@dataclass(frozen=True)
class Task:
    """What the process that does a task's work is told."""

    index: int
    """Its shard."""
    owner: str
    """Who works on it: the same for all starts of one job, of which SLURM runs one at a time; empty
    outside SLURM."""
    progress: Path
    """Where it may say how far it has come."""

    def to_environment(self) -> dict[str, str]:
        return {
            TASK_INDEX: str(self.index),
            TASK_OWNER: self.owner,
            TASK_PROGRESS: str(self.progress),
        }


def current_task() -> Task | None:
    """The task that this process was started for; None where a person started it."""
    if TASK_INDEX not in os.environ:
        return None
    return Task(
        int(os.environ[TASK_INDEX]), os.environ[TASK_OWNER], Path(os.environ[TASK_PROGRESS])
    )


@dataclass(frozen=True, kw_only=True)
class Place:
    """One process of a job: which, and where."""

    job_id: str
    """`123`, or `123_4` for a task of an array; `local-PID` outside SLURM."""
    array_index: int
    restart: int
    node: str
    rank: int
    local_rank: int
    num_ranks: int
    num_local_ranks: int = 1
    """Of these, those on this node."""
    nodes: str = ""
    """All nodes of the job as SLURM writes them, `node[1-4]`; empty outside SLURM."""
    cpus: int | None = None
    """Processors of this process; None where nobody says."""

    @property
    def has_neighbours(self) -> bool:
        """Whether processes of the job are on other nodes."""
        return self.num_ranks > self.num_local_ranks

    @property
    def owner(self) -> str:
        """The job, told apart from those of other clusters; empty outside SLURM."""
        cluster = os.environ.get("SLURM_CLUSTER_NAME", "")
        return f"{cluster}:{self.job_id}" if "SLURM_JOB_ID" in os.environ else ""

    @classmethod
    def current(cls) -> "Place":
        """As SLURM set the environment, or alone on this machine."""
        env = os.environ
        job_id = env.get("SLURM_JOB_ID", f"local-{os.getpid()}")
        if "SLURM_ARRAY_JOB_ID" in env:
            job_id = f"{env['SLURM_ARRAY_JOB_ID']}_{env['SLURM_ARRAY_TASK_ID']}"
        return cls(
            job_id=job_id,
            array_index=int(env.get("SLURM_ARRAY_TASK_ID", 0)),
            restart=int(env.get("SLURM_RESTART_COUNT", 0)),
            # Several nodes may share a host, and then its name tells them apart no more.
            node=env.get("SLURMD_NODENAME") or socket.gethostname(),
            rank=int(env.get("SLURM_PROCID", 0)),
            local_rank=int(env.get("SLURM_LOCALID", 0)),
            num_ranks=int(env.get("SLURM_NTASKS", 1)),
            num_local_ranks=_on_node(
                env.get("SLURM_STEP_TASKS_PER_NODE", "1"), int(env.get("SLURM_NODEID", 0))
            ),
            nodes=env.get("SLURM_JOB_NODELIST", ""),
            cpus=int(env["SLURM_CPUS_PER_TASK"]) if "SLURM_CPUS_PER_TASK" in env else None,
        )


def _on_node(counts: str, node: int) -> int:
    """The count of one node, of those of all as SLURM writes them: `4(x2),3` is 4, 4 and 3."""
    for count, repeated in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts):
        node -= int(repeated or 1)
        if node < 0:
            return int(count)
    raise ValueError(f"{counts!r} has no node {node}")
