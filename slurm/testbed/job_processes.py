"""The processes of a testbed's jobs, and the slurmstepds over them."""

import time

from slurm.testbed.cluster import Cluster
from slurm.testbed.commands import run
from slurm.testbed.processes import Entry, Process, all_processes, with_descendants

STARTING_SECONDS = 60
"""The controller calls a job running before its first process is there."""


def tasks_of_job(cluster: Cluster, job: str) -> tuple[str, set[Process]]:
    """SLURM's own id of a job (`12`, or `12_3` of an array), and what the job has started.

    Raises:
        ValueError: The job does not run.
    """
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        tasks = {
            entry.process: entry.environment["SLURM_JOB_ID"]
            for entry in all_processes()
            if _is_task(cluster, entry.environment) and job in _names(entry.environment)
        }
        if tasks:
            return next(iter(tasks.values())), set(tasks)
        if not _is_running(cluster, job) or time.monotonic() > deadline:
            raise ValueError(f"job {job} does not run on the testbed {cluster.folder}")
        time.sleep(0.1)


def _is_running(cluster: Cluster, job: str) -> bool:
    asked = ["squeue", "--noheader", "--states=R", f"--jobs={job}", "--format=%i"]
    return bool(run(cluster, asked, check=False).stdout.strip())


def _names(environment: dict[str, str]) -> set[str]:
    names = {environment["SLURM_JOB_ID"]}
    if "SLURM_ARRAY_TASK_ID" in environment:
        names.add("{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format_map(environment))
    return names


def processes_of_jobs(cluster: Cluster, node: str | None = None) -> list[Process]:
    """Every slurmstepd, its tasks and what they started, on this node or on all.

    The slurmstepds come first: one that outlives its tasks tells the controller that they failed.
    """
    everything = all_processes()
    roots = [
        entry.process
        for entry in everything
        if (on := _node_of(cluster, entry)) is not None and node in (None, on)
    ]
    stepds = {entry.process for entry in everything if entry.name == "slurmstepd"}
    return sorted(with_descendants(roots, everything), key=lambda process: process not in stepds)


def _node_of(cluster: Cluster, entry: Entry) -> str | None:
    # A slurmstepd has lost its environment to its title, but it stays in its slurmd's folder.
    if entry.name == "slurmstepd":
        folder = entry.working_folder
        return folder.name if folder and folder == cluster.spool(folder.name) else None
    environment = entry.environment
    return environment["SLURMD_NODENAME"] if _is_task(cluster, environment) else None


def _is_task(cluster: Cluster, environment: dict[str, str]) -> bool:
    return (
        environment.get("SLURM_CLUSTER_NAME") == cluster.name
        and "SLURMD_NODENAME" in environment
        and "SLURM_JOB_ID" in environment
    )
